"""The emulated devices of VMs: one module per type, and what connects them with one another and the host."""
