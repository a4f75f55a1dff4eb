"""What the OpenAPI document says beyond the shapes of requests and responses."""
