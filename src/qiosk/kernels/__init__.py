"""Functions over arrays, compiled by Numba. They validate nothing and know nothing of the rest of Qiosk."""
