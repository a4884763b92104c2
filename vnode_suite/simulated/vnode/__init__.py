"""The simulated VNode: a process that joins a cluster with what the API call gave it, and nothing else."""
