// see /home/somebody/notes.txt
// TODO: later
int a;	int b;
int c; 
int fine = "/usr/bin/env"[0];
int todo_list, xxx;
