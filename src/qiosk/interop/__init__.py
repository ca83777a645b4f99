"""Problems from and to other libraries, one module each; every library is an extra of its own name."""
