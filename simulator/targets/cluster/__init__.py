"""Unlike pools of devices and the links between them: a decode step, placed, as a task graph and in closed form."""
