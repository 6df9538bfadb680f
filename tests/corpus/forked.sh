# What nnlayer starts in place of program.py: `sh forked.sh FOLDER COMMAND…`.
#
# At the first start it passes the requests to the process that forked.py has made, and the replies back. That process
# removes the two pipes when it has opened them, so a later start, of a program that has ended, runs the command.
folder=$1
shift
if [ -p "$folder/requests" ]; then
    exec 3<&0
    cat <&3 >"$folder/requests" &
    exec cat "$folder/replies"
fi
exec "$@"
