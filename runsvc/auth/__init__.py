"""Who calls: principals, and the methods by which a call proves one. No grpc."""
