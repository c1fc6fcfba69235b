from gpu_doctor.startup import advise as advise

__version__: str
