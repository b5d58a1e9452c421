/// Attention of the positions of a picture to each other, wherever its rows are.
///
/// A query's row needs the keys and values of all rows, which are gathered. For the gradient of its own keys and values a
/// rank goes through the queries of all rows, in their order: two products more than on one rank, and the same bits.
extension ScaledDotProductAttention {
    /// What the gradient of a strip needs.
    public struct StripSaved: Sendable {
        let keys: Tensor
        let values: Tensor
        let saved: Saved
    }

    /// - Parameters:
    ///   - q: of this rank's rows `[rows, width, heads d]`, as `k` and `v`.
    ///   - mask: of the whole picture.
    /// - Throws: what the way to the other strips throws.
    public func forward(
        strip q: Tensor, _ k: Tensor, _ v: Tensor, mask: AttentionMask?, in context: ComputeContext
    ) throws -> (y: Tensor, saved: StripSaved) {
        let keys = try context.gathered(k)
        let values = try context.gathered(v)
        let (y, saved) = forward(
            q, keys, values, mask: mask, firstQuery: context.firstPosition(of: q), in: context)
        return (y, StripSaved(keys: keys, values: values, saved: saved))
    }

    /// The gradients for the queries, keys and values of this rank's rows.
    public func gradient(
        strip dy: Tensor, q: Tensor, k: Tensor, v: Tensor, y: Tensor, saved: StripSaved, mask: AttentionMask?,
        in context: ComputeContext
    ) throws -> (dq: Tensor, dk: Tensor, dv: Tensor) {
        guard !context.cut(of: q).isShared else {
            return gradient(dy, q: q, k: k, v: v, y: y, saved: saved.saved, mask: mask, in: context)
        }
        let first = context.firstPosition(of: q)
        let dq = queryGradient(
            dy, q: q, k: saved.keys, v: saved.values, y: y, saved: saved.saved, mask: mask, firstQuery: first,
            in: context)
        let statistics = QueryStatistics(
            logSumExp: saved.saved.logSumExp, products: rowProducts(y, dy, in: context))
        let (dk, dv) = keyGradient(
            try context.gathered(dy), q: try context.gathered(q), k: k, v: v,
            statistics: try gathered(statistics, of: q, in: context), mask: mask, firstKey: first, in: context)
        return (dq, dk, dv)
    }

    /// The statistics of the queries of all rows.
    private func gathered(
        _ statistics: QueryStatistics, of q: Tensor, in context: ComputeContext
    ) throws -> QueryStatistics {
        // Position by position on the way, so that a strip's numbers are a run of rows.
        let count = 2 * heads
        let numbers = statistics.logSumExp + statistics.products
        let table = Tensor(
            Self.transposed(numbers, rows: count), shape: [q.shape[0], q.shape[1], count], as: .float32, in: context)
        let all = Self.transposed(try context.gathered(table).floats, columns: count)
        return QueryStatistics(
            logSumExp: Array(all.prefix(all.count / 2)), products: Array(all.suffix(all.count / 2)))
    }

    private static func transposed(_ numbers: [Float], rows: Int) -> [Float] {
        let columns = numbers.count / rows
        return (0..<columns).flatMap { column in (0..<rows).map { numbers[$0 * columns + column] } }
    }

    private static func transposed(_ numbers: [Float], columns: Int) -> [Float] {
        transposed(numbers, rows: numbers.count / columns)
    }
}

extension ComputeContext {
    /// The place of this rank's first position of `x` among all of the picture.
    public func firstPosition(of x: Tensor) -> Int { strip(of: x).rows.lowerBound * x.shape[1] }
}
