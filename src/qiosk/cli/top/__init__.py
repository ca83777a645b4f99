"""The live table of ``qiosk top``: what is read, the rows made of it, what keys do, and how it is drawn."""
