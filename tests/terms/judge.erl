%% Judges our terms: reads packets from standard input, each a list of encoded terms, and answers each with what this
%% release makes of them.
-module(judge).
-export([main/0]).

main() ->
    Port = open_port({fd, 0, 1}, [binary, {packet, 4}, eof]),
    Release = list_to_integer(erlang:system_info(otp_release)),
    loop(Port, Release).

loop(Port, Release) ->
    receive
        {Port, {data, Data}} ->
            Answer = answer(binary_to_term(Data), Release),
            port_command(Port, term_to_binary(Answer)),
            loop(Port, Release);
        {Port, eof} ->
            halt(0)
    end.

%% One by one: whether it is a term at all, its bytes in each form, its text.
answer({each, Encoded}, Release) ->
    [each(Bytes, Release) || Bytes <- Encoded];
%% All together: the order in which they come, and which neighbours are equal.
answer({sort, Encoded}, _) ->
    Terms = lists:zip([binary_to_term(Bytes) || Bytes <- Encoded], lists:seq(0, length(Encoded) - 1)),
    Sorted = lists:sort(fun({A, _}, {B, _}) -> A =< B end, Terms),
    {[I || {_, I} <- Sorted], neighbours(Sorted)};
%% Pairs: how they compare.
answer({pairs, Encoded}, _) ->
    [begin
         {A, B} = {binary_to_term(One), binary_to_term(Other)},
         {A < B, A == B, A =:= B}
     end || {One, Other} <- Encoded];
%% Whether pairs of encodings are the same term to this release.
answer({same, Encoded}, _) ->
    [binary_to_term(One) =:= binary_to_term(Other) || {One, Other} <- Encoded];
%% Texts read by Erlang's own parser, as bytes.
answer({parse, Texts}, _) ->
    [parse(Text) || Text <- Texts].

each(Bytes, Release) ->
    try binary_to_term(Bytes) of
        Term ->
            Sorted = if Release >= 25 -> term_to_binary(Term, [deterministic]); true -> <<>> end,
            {term_to_binary(Term),
             [term_to_binary(Term, [{minor_version, V}]) || V <- [0, 1, 2]],
             Sorted,
             [term_to_binary(Term, [{compressed, Level}]) || Level <- [1, 6, 9]],
             text("~w", Term),
             text("~0p", Term)}
    catch
        error:badarg -> badarg
    end.

text(Format, Term) ->
    unicode:characters_to_binary(io_lib:format(Format, [Term])).

neighbours([{A, _} | [{B, _} | _] = Rest]) ->
    [{A == B, A =:= B} | neighbours(Rest)];
neighbours(_) ->
    [].

parse(Text) ->
    Characters = unicode:characters_to_list(Text),
    try
        {ok, Tokens, _} = erl_scan:string(Characters ++ "."),
        {ok, Term} = erl_parse:parse_term(Tokens),
        term_to_binary(Term)
    catch
        _:_ -> error
    end.
