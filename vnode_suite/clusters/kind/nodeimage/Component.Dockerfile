# One static program as the image that kubeadm or a manifest asks for by name.
FROM scratch
COPY root/ /
ENV PATH=/usr/local/bin
