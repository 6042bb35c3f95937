// A library of which only the name counts.
int of_which_only_the_name_counts;
void code(void) { of_which_only_the_name_counts++; }
