"""Read what the files of a model say of it: headers and configurations, never a pickle."""
