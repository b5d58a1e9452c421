/// Attention of the positions of a picture to each other, wherever its rows are.
///
/// A query's row needs the keys and values of all rows, which are gathered, and gone through while others are on their way
/// still. The gradient of a key is a sum over the queries of all rows, in their order. So heads are dealt out, each with all
/// its rows, which is the work of one rank shared out; or, where there are too few heads for that, a rank goes through all
/// queries for the keys of its own rows, and computes two products of five once more. The bits are the same.
extension ScaledDotProductAttention {
    /// Seven products for five.
    fileprivate static let workOfRows = 1.4

    /// How much the gradient of self-attention in strips takes of the rank that has the most to do, to its even share.
    public static func workOfStripGradient(heads: Int, strips: Int) -> Double {
        min(HeadShare.work(heads: heads, strips: strips) ?? workOfRows, workOfRows)
    }

    /// What the gradient of a strip needs.
    public struct StripSaved: Sendable {
        let keys: Tensor
        let values: Tensor
        let saved: Saved
    }

    /// Goes through the keys as they come, in the order of the positions.
    ///
    /// - Parameters:
    ///   - q: of this rank's rows `[rows, width, heads d]`.
    ///   - arrivals: the keys and the values of all rows.
    ///   - mask: of the whole picture.
    /// - Throws: what the way to the other strips throws.
    public func forward(
        strip q: Tensor, _ arrivals: StripArrivals, mask: AttentionMask?, in context: ComputeContext
    ) throws -> (y: Tensor, saved: StripSaved) {
        let first = context.firstPosition(of: q)
        var runs: AttentionInRuns?
        var rows = try arrivals.rows(after: 0)
        while rows < arrivals.height {
            let done = runs?.keys ?? 0
            let here = AttentionInRuns.wholeBlocks(rows * q.shape[1], in: context)
            if here > done {
                let run = arrivals.positions(done..<here)
                if runs == nil { runs = AttentionInRuns(self, q, mask: mask, firstQuery: first, in: context) }
                runs?.add(run[0], run[1])
            }
            rows = try arrivals.rows(after: rows)
        }
        let all = try arrivals.finished()
        let (keys, values) = (all[0], all[1])
        guard let runs else {
            let (y, saved) = forward(q, keys, values, mask: mask, firstQuery: first, in: context)
            return (y, StripSaved(keys: keys, values: values, saved: saved))
        }
        let rest = runs.keys..<keys.rows
        let (y, saved) = runs.finish(keys.positions(rest), values.positions(rest))
        return (y, StripSaved(keys: keys, values: values, saved: saved))
    }

    /// Begins what the gradient asks other strips for and what does not wait for dy: the queries.
    ///
    /// - Parameter q: of this rank's rows.
    /// - Throws: what the way to the other strips throws.
    public func gradientQueries(strip q: Tensor, in context: ComputeContext) throws -> StripArrivals {
        guard !context.cut(of: q).isShared, let share = share(of: q, in: context) else {
            return try context.gathering([q])
        }
        return try context.dealing([(q, share.columns)])
    }

    /// The gradients for the queries, keys and values of this rank's rows.
    ///
    /// - Parameter queries: what `gradientQueries` began.
    public func gradient(
        strip dy: Tensor, q: Tensor, queries: StripArrivals, k: Tensor, v: Tensor, y: Tensor, saved: StripSaved,
        mask: AttentionMask?, in context: ComputeContext
    ) throws -> (dq: Tensor, dk: Tensor, dv: Tensor) {
        guard !context.cut(of: q).isShared else {
            return gradient(dy, q: q, k: k, v: v, y: y, saved: saved.saved, mask: mask, in: context)
        }
        let statistics = table(
            QueryStatistics(logSumExp: saved.saved.logSumExp, products: rowProducts(y, dy, in: context)), of: q,
            in: context)
        let allQueries = try queries.finished()[0]
        if let share = share(of: q, in: context) {
            return try gradient(share, dy, q: allQueries, saved: saved, statistics: statistics, mask: mask, in: context)
        }
        let first = context.firstPosition(of: q)
        let arrivals = try context.gathering([dy, statistics])
        // Of this rank's rows alone, so while the others' are on their way.
        let dq = queryGradient(
            dy, q: q, k: saved.keys, v: saved.values, y: y, saved: saved.saved, mask: mask, firstQuery: first,
            in: context)
        let all = try arrivals.finished()
        let (_, dk, dv) = gradient(
            all[0], q: allQueries, k: k, v: v, statistics: Self.statistics(all[1]), mask: mask, firstKey: first,
            hasQueries: false, in: context)
        return (dq, dk, dv)
    }

    /// Every rank has all rows of its heads.
    ///
    /// - Parameter q: its heads' columns of all rows.
    private func gradient(
        _ share: HeadShare, _ dy: Tensor, q: Tensor, saved: StripSaved, statistics: Tensor, mask: AttentionMask?,
        in context: ComputeContext
    ) throws -> (dq: Tensor, dk: Tensor, dv: Tensor) {
        let own = share.columns(of: context.ownStrip)
        let arrivals = try context.dealing([(dy, share.columns), (statistics, share.statistics)])
        let k = saved.keys.channels(own, in: context)
        let v = saved.values.channels(own, in: context)
        let dealt = try arrivals.finished()
        let (dq, dk, dv) = ScaledDotProductAttention(heads: share.heads(of: context.ownStrip).count).gradient(
            dealt[0], q: q, k: k, v: v, statistics: Self.statistics(dealt[1]), mask: mask, hasQueries: true,
            in: context)
        guard let dq else { preconditionFailure("queries were asked for") }
        let collected = try context.collected([dq, dk, dv], columns: share.columns)
        return (collected[0], collected[1], collected[2])
    }

    private func share(of q: Tensor, in context: ComputeContext) -> HeadShare? {
        HeadShare(heads: heads, width: q.columns / heads, strips: context.stripCount)
    }

    /// `[rows, width, 2 heads]`: both numbers of each head, head by head, so that a strip's are a run of rows and a
    /// head's a run of columns.
    private func table(_ statistics: QueryStatistics, of q: Tensor, in context: ComputeContext) -> Tensor {
        let (queries, columns) = (q.rows, 2 * heads)
        var numbers = [Float](repeating: 0, count: queries * columns)
        for head in 0..<heads {
            for query in 0..<queries {
                numbers[query * columns + 2 * head] = statistics.logSumExp[head * queries + query]
                numbers[query * columns + 2 * head + 1] = statistics.products[head * queries + query]
            }
        }
        return Tensor(numbers, shape: [q.shape[0], q.shape[1], 2 * heads], as: .float32, in: context)
    }

    private static func statistics(_ table: Tensor) -> QueryStatistics {
        let (numbers, queries, columns) = (table.floats, table.rows, table.columns)
        func column(_ offset: Int) -> [Float] {
            var values = [Float](repeating: 0, count: queries * columns / 2)
            for head in 0..<columns / 2 {
                for query in 0..<queries {
                    values[head * queries + query] = numbers[query * columns + 2 * head + offset]
                }
            }
            return values
        }
        return QueryStatistics(logSumExp: column(0), products: column(1))
    }
}

/// Which heads a rank has, where heads are dealt out and not rows.
private struct HeadShare {
    private let heads: Int
    private let width: Int
    private let strips: Int

    /// Nil where going through all queries for the own rows is less work.
    init?(heads: Int, width: Int, strips: Int) {
        guard let work = Self.work(heads: heads, strips: strips), work < ScaledDotProductAttention.workOfRows else {
            return nil
        }
        self.heads = heads
        self.width = width
        self.strips = strips
    }

    /// Of the rank with the most heads, to its even share; nil where there are fewer heads than strips.
    static func work(heads: Int, strips: Int) -> Double? {
        heads < strips ? nil : Double((heads + strips - 1) / strips * strips) / Double(heads)
    }

    func heads(of strip: Int) -> Range<Int> { heads * strip / strips..<heads * (strip + 1) / strips }

    func columns(of strip: Int) -> Range<Int> { columns(of: strip, width) }

    func statistics(of strip: Int) -> Range<Int> { columns(of: strip, 2) }

    private func columns(of strip: Int, _ width: Int) -> Range<Int> {
        heads(of: strip).lowerBound * width..<heads(of: strip).upperBound * width
    }
}

extension ComputeContext {
    /// The place of this rank's first position of `x` among all of the picture.
    public func firstPosition(of x: Tensor) -> Int { strip(of: x).rows.lowerBound * x.shape[1] }
}
