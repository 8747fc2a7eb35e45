"""Around the selectors: the placement test, the student's capability, and a ranking cut to what is trained."""
