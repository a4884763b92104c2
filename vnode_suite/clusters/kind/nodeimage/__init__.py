"""A node image for kind, built where no registry can be reached."""
