/// Runs `body` on every number, started in their order, at most `limit` at a time; the next one starts when any ends.
///
/// The first error ends the rest, and is thrown once all have ended.
/// - Returns: the results, in the order of the numbers.
func mapInFlight<Value: Sendable>(
    _ numbers: Range<Int>, atMost limit: Int, _ body: @escaping @Sendable (Int) async throws -> Value
) async throws -> [Value] {
    try await withThrowingTaskGroup(of: (number: Int, value: Value).self) { group in
        var values: [Int: Value] = [:]
        for number in numbers {
            if number - numbers.lowerBound >= max(1, limit), let next = try await group.next() {
                values[next.number] = next.value
            }
            group.addTask { (number, try await body(number)) }
        }
        for try await next in group { values[next.number] = next.value }
        return numbers.compactMap { values[$0] }
    }
}
