"""Runs of jobs over several nodes, which consist of the runs of their members.

**Members** are started as there is room for them, and run by themselves. Each stores what it finds as a blob. When all
have ended, a last run merges these blobs into the results of the job. So the supervisor knows nothing of solvers.

**A member that is lost** is run again, from its last checkpoint, on whatever node there is; the others go on. When that
has happened too often, or no run can be started, the others store checkpoints, and the attempt is lost.

**The next attempt** finds the blobs of members by their names: what has ended is not run again, and the others go on
from their checkpoints. No document lists them that could be out of date. What is lost is what members did since their
last checkpoints.

**A member that finds enough**, a proof or the cost that was asked for, ends the others, which add what they have.
"""
