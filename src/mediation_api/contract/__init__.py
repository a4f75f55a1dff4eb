"""What the OpenAPI document contains besides the schemas of requests and responses."""
