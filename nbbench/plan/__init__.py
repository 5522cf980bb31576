"""What will be done: models, cases, the plan, and estimates of how long it takes."""
