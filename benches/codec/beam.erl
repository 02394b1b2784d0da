%% The half of the bench that runs on a BEAM: keeps files, and says how long it takes to decode or encode one so many times.
%% Requests and answers are terms in packets of a four-byte length, over standard input and output.
-module(beam).
-export([main/0]).

main() ->
    Port = open_port({fd, 0, 1}, [{packet, 4}, binary, eof]),
    loop(Port, #{}).

loop(Port, Files) ->
    receive
        {Port, {data, Request}} ->
            case binary_to_term(Request) of
                {file, Name, Bytes} ->
                    answer(Port, ok),
                    %% Away from the packet that it came in.
                    loop(Port, Files#{Name => {binary:copy(Bytes), binary_to_term(Bytes)}});
                {run, Operation, Name, Times} ->
                    answer(Port, run(Operation, maps:get(Name, Files), Times)),
                    loop(Port, Files)
            end;
        {Port, eof} ->
            halt()
    end.

answer(Port, Term) -> port_command(Port, term_to_binary(Term)).

%% Nanoseconds for all of them, in a process of its own, which clears up behind itself as it goes.
run(Operation, File, Times) ->
    Self = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        Start = erlang:monotonic_time(nanosecond),
        times(Operation, File, Times, none),
        Self ! {self(), erlang:monotonic_time(nanosecond) - Start}
    end),
    receive {Pid, Time} -> demonitor(Monitor, [flush]), Time;
            {'DOWN', Monitor, process, Pid, Reason} -> exit(Reason) end.

%% What one round made is handed to the next, as the compiler leaves out what nobody wants.
times(_, _, 0, Last) -> Last;
times(decode, {Bytes, _} = File, Times, _) -> times(decode, File, Times - 1, binary_to_term(Bytes));
times(encode, {_, Term} = File, Times, _) -> times(encode, File, Times - 1, term_to_binary(Term)).
