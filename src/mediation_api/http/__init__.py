"""HTTP: middleware, dependencies, field types, problems and everything else that all routes share."""
