"""One lowering per kind of machine; each turns a design into a `Program` of periodic task graphs."""
