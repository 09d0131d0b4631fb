"""Device registers that native code answers itself, so that an access does not enter Python.

Interrupt handlers of guests touch the same few registers each time: claim, complete, InterruptStatus, InterruptACK.
Their devices keep the state behind them in host memory (`plic_layout`, `virtio_layout`), shared by the device's Python
and the functions here; a table (`windows`) tells native code where they are. Everything else, and every case in which
somebody besides this hart has to hear of it, is left to the device's Python: both give the same answer.
"""
