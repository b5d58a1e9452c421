import CVectorKernels

/// Attention to keys that come run after run, in the order of their positions: with the bits of all of them at once.
///
/// What a query has of the keys so far is kept beside them, as float32: its largest score, the sum of its weights, and the
/// sum of the values.
package struct AttentionInRuns {
    private let attention: ScaledDotProductAttention
    private let q: Tensor
    private let mask: AttentionMask?
    private let firstQuery: Int
    private let context: ComputeContext
    /// Packed rows, head by head.
    private let outputs: Buffer
    /// Of each query, a head's after another's: maxima, then sums.
    private let statistics: Buffer
    /// How many keys were gone through.
    package private(set) var keys = 0

    package init(
        _ attention: ScaledDotProductAttention, _ q: Tensor, mask: AttentionMask?, firstQuery: Int,
        in context: ComputeContext
    ) {
        self.attention = attention
        self.q = q
        self.mask = mask
        self.firstQuery = firstQuery
        self.context = context
        let size = MemoryLayout<Float>.size
        let queries = attention.heads * q.rows
        let width = context.kernels.packed_width(q.columns / attention.heads)
        outputs = Buffer(byteCount: queries * width * size, pool: context.pool)
        statistics = Buffer(byteCount: 2 * queries * size, pool: context.pool)
    }

    /// How many of `keys` make whole blocks, which the kernel takes at a time: a run but the last ends with one.
    package static func wholeBlocks(_ keys: Int, in context: ComputeContext) -> Int {
        keys / context.kernels.key_block * context.kernels.key_block
    }

    /// Goes through some keys, after which others come.
    ///
    /// - Precondition: they end with a whole block.
    package mutating func add(_ k: Tensor, _ v: Tensor) {
        precondition(k.rows == Self.wholeBlocks(k.rows, in: context), "\(k.rows) keys are no whole blocks")
        run(k, v, sums: nil, into: nil)
        keys += k.rows
    }

    /// Goes through the last keys.
    package func finish(_ k: Tensor, _ v: Tensor) -> (y: Tensor, saved: ScaledDotProductAttention.Saved) {
        var y = TensorDraft(uninitialized: q.shape, as: q.elementType, in: context)
        let target = y.elements
        var logSumExp = [Float](repeating: 0, count: attention.heads * q.rows)
        logSumExp.withUnsafeMutableBufferPointer { run(k, v, sums: $0.baseAddress, into: target) }
        return (y.finished(), ScaledDotProductAttention.Saved(logSumExp: logSumExp))
    }

    /// - Parameter target: nil where more keys come, as `sums`.
    private func run(_ k: Tensor, _ v: Tensor, sums: UnsafeMutablePointer<Float>?, into target: DraftElements?) {
        context.measured(.attention, operations: attention.operations(2, q, k)) {
            let run = ScaledDotProductAttention.Run(
                attention, q, k, v, mask, firstQuery: firstQuery, firstKey: keys, context)
            let transposed = run.packTransposed(k)
            let values = run.packRows(v)
            run.forEachBlock { head, first, count, scratch in
                let query = run.packBlock(q, head: head, first: first, count: count, into: scratch.rows[0])
                let place = head * run.queries + first
                var progress = progress(at: place)
                let output = floats(outputs) + place * run.paddedWidth
                run.kernels.forward_run(
                    &scratch.shape, &progress, first, count, query, transposed.head(head), values.head(head), output,
                    sums.map { $0 + place }, scratch.scores)
                if let target { run.unpack(output, head: head, first: first, count: count, into: target) }
            }
        }
    }

    private func progress(at query: Int) -> pilot_attention_progress {
        let maxima = floats(statistics)
        return pilot_attention_progress(
            maxima: maxima + query, sums: maxima + attention.heads * q.rows + query, resumes: keys > 0 ? 1 : 0)
    }

    private func floats(_ buffer: Buffer) -> UnsafeMutablePointer<Float> {
        buffer.pointer.assumingMemoryBound(to: Float.self)
    }
}
