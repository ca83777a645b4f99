"""How soon a solver is at work: reading JSON, building and compiling problems, starting a process."""
