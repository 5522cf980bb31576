"""How a plan is carried out: jobs, events, progress, and the workers that run cases."""
