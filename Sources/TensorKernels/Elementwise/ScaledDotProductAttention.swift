import CVectorKernels

/// Which keys a query sees.
public enum AttentionMask: Sendable, Hashable {
    /// Each query sees the keys up to its own position: a text encoder.
    case causal
    /// Queries of the background see the first of every `chunk` keys alone, those of the foreground all (the paper's
    /// Eq. 14, keeping each chunk's `<|startoftext|>`): cross-attention. One entry a position of the whole picture, 1 in
    /// the foreground.
    case firstKeyOnly(foreground: [UInt8], chunk: Int)
    /// Queries of the background see the keys of the background, those of the foreground all (Eq. 15):
    /// self-attention, where queries and keys are the same positions.
    case backgroundKeys(foreground: [UInt8])

    /// One entry a position of the whole picture, 1 in the foreground; nil where there is none.
    public var foreground: [UInt8]? {
        switch self {
        case .causal: nil
        case .firstKeyOnly(let foreground, _), .backgroundKeys(let foreground): foreground
        }
    }

    /// How many keys a chunk has, where it matters.
    var chunk: Int {
        if case .firstKeyOnly(_, let chunk) = self { chunk } else { 0 }
    }

    var rule: pilot_attention_rule {
        switch self {
        case .causal: pilot_causal
        case .firstKeyOnly: pilot_first_key_only
        case .backgroundKeys: pilot_background_keys
        }
    }
}

/// softmax(Q K^T / sqrt(d)) V for each head, in blocks: no full matrix of scores exists at any time.
///
/// Q `[n, heads d]`, K and V `[m, heads d]`, heads side by side as in diffusers' `Attention`. Products and softmax are
/// float32 for either element type. The blocks are the same for any number of threads, and so are the bits.
public struct ScaledDotProductAttention: Sendable {
    public let heads: Int

    public init(heads: Int) { self.heads = heads }

    /// What the gradient needs beside q, k, v and y: log sum exp of each head's and query's scores.
    public struct Saved: Sendable {
        /// A head's after another's.
        package let logSumExp: [Float]
    }

    /// - Parameter firstQuery: the position of the first query in the whole picture, by which the mask is read.
    public func forward(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, mask: AttentionMask? = nil, firstQuery: Int = 0,
        in context: ComputeContext
    ) -> (y: Tensor, saved: Saved) {
        context.measured(.attention, operations: operations(2, q, k)) {
            outputs(q, k, v, mask: mask, firstQuery: firstQuery, in: context)
        }
    }

    /// Multiplications and additions of so many products of queries and keys.
    func operations(_ products: Int, _ q: Tensor, _ k: Tensor) -> Double {
        2 * Double(products) * Double(q.rows) * Double(k.rows) * Double(q.columns)
    }

    private func outputs(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, mask: AttentionMask?, firstQuery: Int, in context: ComputeContext
    ) -> (y: Tensor, saved: Saved) {
        let run = Run(self, q, k, v, mask, firstQuery: firstQuery, context)
        var y = TensorDraft(uninitialized: q.shape, as: q.elementType, in: context)
        let target = y.elements
        let keys = run.packTransposed(k)
        let values = run.packRows(v)
        var logSumExp = [Float](repeating: 0, count: heads * run.queries)
        logSumExp.withUnsafeMutableBufferPointer { logSumExp in
            guard let sums = logSumExp.baseAddress else { return }
            run.forEachBlock { head, first, count, scratch in
                let query = run.packBlock(q, head: head, first: first, count: count, into: scratch.rows[0])
                run.kernels.forward(
                    &scratch.shape, first, count, query, keys.head(head), values.head(head), scratch.rows[1],
                    sums + head * run.queries + first, scratch.scores)
                run.unpack(scratch.rows[1], head: head, first: first, count: count, into: target)
            }
        }
        return (y.finished(), Saved(logSumExp: logSumExp))
    }

    /// The gradient for the queries alone: where keys and values are constants, as a prompt's are, and where others
    /// compute theirs.
    public func queryGradient(
        _ dy: Tensor, q: Tensor, k: Tensor, v: Tensor, y: Tensor, saved: Saved, mask: AttentionMask? = nil,
        firstQuery: Int = 0, in context: ComputeContext
    ) -> Tensor {
        context.measured(.attention, operations: operations(3, q, k)) {
            queryGradients(dy, q: q, k: k, v: v, y: y, saved: saved, mask: mask, firstQuery: firstQuery, in: context)
        }
    }

    private func queryGradients(
        _ dy: Tensor, q: Tensor, k: Tensor, v: Tensor, y: Tensor, saved: Saved, mask: AttentionMask?,
        firstQuery: Int, in context: ComputeContext
    ) -> Tensor {
        let run = Run(self, q, k, v, mask, firstQuery: firstQuery, context)
        var dq = TensorDraft(uninitialized: q.shape, as: q.elementType, in: context)
        let target = dq.elements
        let transposedKeys = run.packTransposed(k)
        let transposedValues = run.packTransposed(v)
        let keys = run.packRows(k)
        run.forEachBlock { head, first, count, scratch in
            run.gradientBlock(
                head, first, count, &scratch, dy: dy, q: q, y: y, saved: saved, transposedKeys, keys, transposedValues)
            run.unpack(scratch.rows[2], head: head, first: first, count: count, into: target)
        }
        return dq.finished()
    }

    /// The gradients for queries, keys and values.
    public func gradient(
        _ dy: Tensor, q: Tensor, k: Tensor, v: Tensor, y: Tensor, saved: Saved, mask: AttentionMask? = nil,
        in context: ComputeContext
    ) -> (dq: Tensor, dk: Tensor, dv: Tensor) {
        let statistics = QueryStatistics(logSumExp: saved.logSumExp, products: rowProducts(y, dy, in: context))
        let (dq, dk, dv) = gradient(
            dy, q: q, k: k, v: v, statistics: statistics, mask: mask, hasQueries: true, in: context)
        guard let dq else { preconditionFailure("queries were asked for") }
        return (dq, dk, dv)
    }

    /// The gradients for some or all of the keys and values, and for the queries of all that these are, with the bits that
    /// the other `gradient` gives them.
    ///
    /// - Parameters:
    ///   - dy: of all queries, as `q`.
    ///   - statistics: of all queries.
    ///   - firstKey: the position of the first key in the whole picture.
    ///   - hasQueries: whether to compute dq, of the keys that are here; else it is nil.
    func gradient(
        _ dy: Tensor, q: Tensor, k: Tensor, v: Tensor, statistics: QueryStatistics, mask: AttentionMask?,
        firstKey: Int = 0, hasQueries: Bool, in context: ComputeContext
    ) -> (dq: Tensor?, dk: Tensor, dv: Tensor) {
        context.measured(.attention, operations: operations(hasQueries ? 5 : 4, q, k)) {
            gradients(
                dy, q: q, k: k, v: v, statistics: statistics, mask: mask, firstKey: firstKey, hasQueries: hasQueries,
                in: context)
        }
    }

    private func gradients(
        _ dy: Tensor, q: Tensor, k: Tensor, v: Tensor, statistics: QueryStatistics, mask: AttentionMask?,
        firstKey: Int, hasQueries: Bool, in context: ComputeContext
    ) -> (dq: Tensor?, dk: Tensor, dv: Tensor) {
        let run = Run(self, q, k, v, mask, firstKey: firstKey, context)
        // One element where nothing is asked for.
        var dq = TensorDraft(uninitialized: hasQueries ? q.shape : [1], as: q.elementType, in: context)
        let queryTarget = dq.elements
        var dk = TensorDraft(uninitialized: k.shape, as: k.elementType, in: context)
        var dv = TensorDraft(uninitialized: v.shape, as: v.elementType, in: context)
        let (keyTarget, valueTarget) = (dk.elements, dv.elements)
        let transposedKeys = run.packTransposed(k)
        let transposedValues = run.packTransposed(v)
        let keys = run.packRows(k)
        let keyGradients = run.zeroRows()
        let valueGradients = run.zeroRows()
        // A head's sums over its queries are formed by one thread, in order.
        run.forEachHead { head, scratch in
            for first in stride(from: 0, to: run.queries, by: run.block) {
                let count = min(run.block, run.queries - first)
                run.gradientBlock(
                    head, first, count, &scratch, dy: dy, q: q, statistics, transposedKeys, keys, transposedValues,
                    hasQueries: hasQueries, dk: keyGradients.head(head), dv: valueGradients.head(head))
                if hasQueries {
                    run.unpack(scratch.rows[2], head: head, first: first, count: count, into: queryTarget)
                }
            }
            run.unpack(keyGradients.head(head), head: head, first: 0, count: run.keys, into: keyTarget)
            run.unpack(valueGradients.head(head), head: head, first: 0, count: run.keys, into: valueTarget)
        }
        return (hasQueries ? dq.finished() : nil, dk.finished(), dv.finished())
    }

    /// The products of each query's output and its gradient, a head's after another's.
    func rowProducts(_ y: Tensor, _ dy: Tensor, in context: ComputeContext) -> [Float] {
        let run = Run(self, y, y, y, nil, context)
        var products = [Float](repeating: 0, count: heads * run.queries)
        products.withUnsafeMutableBufferPointer { products in
            guard let products = products.baseAddress else { return }
            run.forEachBlock { head, first, count, scratch in
                run.rowProducts(
                    y, dy, head: head, first: first, count: count, scratch,
                    into: products + head * run.queries + first)
            }
        }
        return products
    }
}

/// What the gradient of a key needs of every query beside its row: log sum exp of its scores, and the product of its
/// output and the output's gradient; of every head, a head's after another's.
struct QueryStatistics: Sendable {
    let logSumExp: [Float]
    let products: [Float]
}
