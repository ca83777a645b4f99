"""What Qiosk shows on a terminal or in a notebook while work goes on."""
