// efrun: the command line of the runtime.
int main() { return 0; }
