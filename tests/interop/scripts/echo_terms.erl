%% Sends terms to `echo` on another node and compares what comes back, exactly.
-module(echo_terms).
-export([every_type/1, large/1, largest/1, in_order/2]).

%% `ok`, or the names of the terms that did not come back as they went.
every_type(Node) -> check(Node, small() ++ identifiers()).

large(Node) ->
    check(Node, most_bytes() ++ [
        {binary_64_kb, binary:copy(<<7>>, 65536)},
        {list_of_a_million, lists:seq(1, 1000000)},
        {list_of_binaries, [<<N:64>> || N <- lists:seq(1, 50000)]},
        {map_of_50000, maps:from_list([{N, {N, atom_to_list(node())}} || N <- lists:seq(1, 50000)])},
        {tuple_of_100000, list_to_tuple(lists:seq(1, 100000))},
        {nested_100000_deep, lists:foldl(fun(_, Inner) -> {Inner} end, [], lists:seq(1, 100000))},
        {atoms_2000, [list_to_atom("atom_" ++ integer_to_list(N)) || N <- lists:seq(1, 2000)]},
        {big_integer_100_kb, 1 bsl 800000 - 1}
    ]).

largest(Node) -> check(Node, most_bytes()).

most_bytes() ->
    [{binary_10_mb, binary:copy(<<"0123456789">>, 1000000)}, {byte_list_1_mb, lists:duplicate(1000000, $x)}].

%% Sends `Count` terms of many sizes without waiting; `ok` when they come back in this order.
in_order(Node, Count) ->
    Terms = [{N, binary:copy(<<N:32>>, case N rem 7 of 0 -> 30000; Few -> Few end)} || N <- lists:seq(1, Count)],
    [{echo, Node} ! {self(), Term} || Term <- Terms],
    await_in_order(Terms).

await_in_order([]) -> ok;
await_in_order([{N, _} = Term | Rest]) ->
    receive
        {echo, Term} -> await_in_order(Rest);
        {echo, {M, _}} -> {expected, N, got, M}
    after 20000 -> {lost, N}
    end.

check(Node, Terms) ->
    case [Wrong || {Name, Term} <- Terms, (Wrong = echoed(Node, Name, Term)) =/= ok] of
        [] -> ok;
        Wrongs -> Wrongs
    end.

echoed(Node, Name, Term) ->
    {echo, Node} ! {self(), Term},
    receive
        {echo, Back} when Back =:= Term -> exactly(Name, Term, Back);
        {echo, Back} -> {Name, came_back_as, clipped(Back)}
    after 20000 -> {Name, did_not_come_back}
    end.

%% What `=:=` before OTP 27 does not tell apart: 0.0 and -0.0.
exactly(Name, Term, Back) when is_float(Term) ->
    case <<Term/float>> =:= <<Back/float>> of true -> ok; false -> {Name, came_back_as, Back} end;
exactly(_, _, _) -> ok.

clipped(Term) -> lists:sublist(lists:flatten(io_lib:format("~0P", [Term, 30])), 300).

small() ->
    [{zero, 0}, {byte, 255}, {byte_and_one, 256}, {minus_one, -1}] ++
    [{{power_of_two, Bits, Plus}, Sign * (1 bsl Bits + Plus)}
        || Bits <- [27, 28, 31, 32, 59, 60, 63, 64, 128, 2039, 2040], Plus <- [-1, 0, 1], Sign <- [1, -1]] ++
    [{float, 1.5}, {zero_float, 0.0}, {minus_zero, -0.0}, {tiny, 5.0e-324}, {huge, -1.7976931348623157e308}] ++
    [{atom, ok}, {empty_atom, ''}, {quoted_atom, 'Hello World'}, {latin1_atom, list_to_atom([228, 246, 252])},
     {unicode_atom, list_to_atom([1086, 1090, 128512])}, {long_atom, list_to_atom(lists:duplicate(255, $a))},
     {wide_long_atom, list_to_atom(lists:duplicate(255, 1078))}] ++
    [{true, true}, {nil, []}, {string, "hello"}, {string_65535, lists:duplicate(65535, $x)}, {string_65536, lists:duplicate(65536, $x)},
     {unicode_list, [1078, 128512]}, {list, [a, 1, 2.0, [b], "c"]}, {improper, [a | b]}, {improper_bytes, [1, 2 | 3]}, {improper_binary, [a, b | <<"c">>]},
     {deep, lists:foldl(fun(_, Inner) -> [Inner] end, x, lists:seq(1, 1000))}] ++
    [{empty_binary, <<>>}, {binary, <<"hello">>}, {binary_64, binary:copy(<<1>>, 64)}, {binary_65, binary:copy(<<1>>, 65)},
     {part_of_binary, binary:part(binary:copy(<<"abc">>, 100), 50, 100)},
     {bits_1, <<1:1>>}, {bits_7, <<1:7>>}, {bits_9, <<257:9>>}, {bits_many, <<(binary:copy(<<5>>, 300))/binary, 3:3>>}] ++
    [{empty_tuple, {}}, {tuple, {a, {b, {c}}}}, {tuple_255, list_to_tuple(lists:seq(1, 255))}, {tuple_256, list_to_tuple(lists:seq(1, 256))}] ++
    [{empty_map, #{}}, {map, #{a => 1, "b" => <<"c">>, {d} => #{1 => 2}, 1.0 => one, 1 => uno}},
     {map_32, maps:from_list([{N, N} || N <- lists:seq(1, 32)])}, {map_33, maps:from_list([{N, N} || N <- lists:seq(1, 33)])},
     {map_of_atoms, maps:from_list([{list_to_atom("key" ++ integer_to_list(N)), N} || N <- lists:seq(1, 100)])}] ++
    [{many_atoms, [list_to_atom("some" ++ integer_to_list(N)) || N <- lists:seq(1, 300)]}].

identifiers() ->
    Free = node(),
    [{self, self()}, {dead_pid, spawn(fun() -> ok end)}, {reference, make_ref()}, {port, hd(erlang:ports())},
     {external_fun, fun lists:map/2}, {local_fun, fun(X) -> {X, Free} end}, {fun_without_environment, fun(X) -> X end},
     {fun_in_fun, fun() -> fun() -> Free end end},
     {pid_of_another_node, binary_to_term(<<131, 103, 119, 5, "x@y.z", 0, 0, 0, 38, 0, 0, 0, 0, 2>>)},
     {all_at_once, [self(), make_ref(), hd(erlang:ports()), fun lists:map/2, {node(), self()}]}] ++ aliases().

%% Aliases came with OTP 24.
aliases() ->
    case erlang:function_exported(erlang, alias, 0) of
        true -> [{alias, apply(erlang, alias, [])}];
        false -> []
    end.
