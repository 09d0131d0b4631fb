"""Virtual I/O Device (VIRTIO) 1.2: the MMIO transport, split virtqueues, and the devices behind them."""
