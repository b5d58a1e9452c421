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
    fileprivate var chunk: Int {
        if case .firstKeyOnly(_, let chunk) = self { chunk } else { 0 }
    }

    fileprivate var rule: pilot_attention_rule {
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
        let logSumExp: [Float]
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
    private func operations(_ products: Int, _ q: Tensor, _ k: Tensor) -> Double {
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

extension ScaledDotProductAttention {
    /// One evaluation: sizes, packed copies of the matrices, and the walk over heads and blocks.
    fileprivate struct Run {
        /// So many multiplications in the products take as long as one element of a simple loop, about.
        static let multiplications = 8

        let context: ComputeContext
        /// In the format in which the context's products are, where the processor has them in it.
        let kernels: pilot_attention_kernels
        let heads: Int
        let queries: Int
        let keys: Int
        let width: Int
        let mask: AttentionMask?
        let block: Int
        let paddedWidth: Int
        let firstQuery: Int
        let firstKey: Int

        init(
            _ attention: ScaledDotProductAttention, _ q: Tensor, _ k: Tensor, _ v: Tensor, _ mask: AttentionMask?,
            firstQuery: Int = 0, firstKey: Int = 0, _ context: ComputeContext
        ) {
            precondition(
                q.columns == k.columns && k.shape == v.shape && q.columns % attention.heads == 0,
                "attention of \(q.shape) to \(k.shape) with \(attention.heads) heads")
            if let foreground = mask?.foreground {
                precondition(foreground.count >= firstQuery + q.rows, "an attention mask has an entry a query")
            }
            if case .firstKeyOnly(_, let chunk) = mask { precondition(chunk > 0, "a chunk has a first key") }
            if case .backgroundKeys(let foreground) = mask {
                precondition(foreground.count >= firstKey + k.rows, "a self-attention mask has an entry a key")
            }
            self.context = context
            let halves = context.kernels.attention_bfloat16
            kernels =
                context.elementType == .bfloat16 && halves.forward != nil ? halves : context.kernels.attention
            self.mask = mask
            heads = attention.heads
            queries = q.rows
            keys = k.rows
            width = q.columns / attention.heads
            block = context.kernels.query_block
            paddedWidth = context.kernels.packed_width(width)
            self.firstQuery = firstQuery
            self.firstKey = firstKey
        }

        /// A copy of one matrix as the kernels want it, head by head.
        struct Packed {
            let buffer: Buffer
            let stride: Int

            func head(_ head: Int) -> UnsafeMutablePointer<Float> {
                buffer.pointer.assumingMemoryBound(to: Float.self) + head * stride
            }
        }

        func packRows(_ x: Tensor) -> Packed {
            // Rows may be packed two by two.
            let packed = packed(stride: (x.rows + 1) * paddedWidth)
            context.parallel(heads, of: x.rows * width) { part in
                for head in part {
                    kernels.pack_rows(
                        x.kernelType, x.pointer(at: head * width), x.columns, x.rows, width, packed.head(head))
                }
            }
            return packed
        }

        func packTransposed(_ x: Tensor) -> Packed {
            let packed = packed(stride: context.kernels.packed_keys(x.rows) * paddedWidth)
            context.parallel(heads, of: x.rows * width) { part in
                for head in part {
                    kernels.pack_transposed(
                        x.kernelType, x.pointer(at: head * width), x.columns, x.rows, width, packed.head(head))
                }
            }
            return packed
        }

        func zeroRows() -> Packed {
            let packed = packed(stride: keys * paddedWidth)
            packed.head(0).update(repeating: 0, count: heads * packed.stride)
            return packed
        }

        private func packed(stride: Int) -> Packed {
            Packed(buffer: Buffer(byteCount: heads * stride * 4, pool: context.pool), stride: stride)
        }

        /// One thread's working memory.
        struct Scratch {
            var shape: pilot_attention_shape
            /// Blocks of query rows: packed queries, output or its gradient, gradient of the queries.
            let rows: [UnsafeMutablePointer<Float>]
            let scores: UnsafeMutablePointer<Float>
            let products: UnsafeMutablePointer<Float>
        }

        private func withScratch(_ body: (inout Scratch) -> Void) {
            let rowFloats = block * paddedWidth
            let scoreFloats = kernels.scratch(width)
            let buffer = Buffer(byteCount: (3 * rowFloats + scoreFloats + block) * 4, pool: context.pool)
            let base = buffer.pointer.assumingMemoryBound(to: Float.self)
            withForeground { foreground in
                var scratch = Scratch(
                    shape: pilot_attention_shape(
                        queries: queries, keys: keys, width: width, scale: 1 / Float(width).squareRoot(),
                        rule: mask?.rule ?? pilot_all_keys, chunk: mask?.chunk ?? 0, foreground: foreground,
                        first_query: firstQuery, first_key: firstKey),
                    rows: (0..<3).map { base + $0 * rowFloats }, scores: base + 3 * rowFloats,
                    products: base + 3 * rowFloats + scoreFloats)
                body(&scratch)
            }
            withExtendedLifetime(buffer) {}
        }

        private func withForeground(_ body: (UnsafePointer<UInt8>?) -> Void) {
            guard let foreground = mask?.foreground else { return body(nil) }
            foreground.withUnsafeBufferPointer { body($0.baseAddress) }
        }

        func forEachBlock(_ body: (_ head: Int, _ first: Int, _ count: Int, inout Scratch) -> Void) {
            let blocks = (queries + block - 1) / block
            context.parallel(heads * blocks, of: block * keys * width / Self.multiplications) { part in
                withScratch { scratch in
                    for unit in part {
                        let first = unit % blocks * block
                        body(unit / blocks, first, min(block, queries - first), &scratch)
                    }
                }
            }
        }

        func forEachHead(_ body: (_ head: Int, inout Scratch) -> Void) {
            context.parallel(heads, of: queries * keys * width / Self.multiplications) { part in
                withScratch { scratch in
                    for head in part { body(head, &scratch) }
                }
            }
        }

        func packBlock(
            _ x: Tensor, head: Int, first: Int, count: Int, into target: UnsafeMutablePointer<Float>
        ) -> UnsafeMutablePointer<Float> {
            kernels.pack_block(
                x.kernelType, x.pointer(at: first * x.columns + head * width), x.columns, count, width, target)
            return target
        }

        /// The products of each row of two blocks.
        func rowProducts(
            _ x: Tensor, _ y: Tensor, head: Int, first: Int, count: Int, _ scratch: Scratch,
            into products: UnsafeMutablePointer<Float>
        ) {
            for (tensor, rows) in zip([x, y], scratch.rows) {
                context.kernels.pack_rows(
                    tensor.kernelType, tensor.pointer(at: first * tensor.columns + head * width), tensor.columns, count,
                    width, rows)
            }
            context.kernels.row_products(scratch.rows[0], scratch.rows[1], count, width, products)
        }

        func unpack(_ source: UnsafePointer<Float>, head: Int, first: Int, count: Int, into y: DraftElements) {
            let columns = heads * width
            context.kernels.unpack_rows(
                y.kernelType, source, count, width, y.pointer(at: first * columns + head * width), columns)
        }

        func gradientBlock(
            _ head: Int, _ first: Int, _ count: Int, _ scratch: inout Scratch, dy: Tensor, q: Tensor, y: Tensor,
            saved: Saved, _ transposedKeys: Packed, _ keys: Packed, _ transposedValues: Packed
        ) {
            rowProducts(y, dy, head: head, first: first, count: count, scratch, into: scratch.products)
            let query = packBlock(q, head: head, first: first, count: count, into: scratch.rows[0])
            let gradient = packBlock(dy, head: head, first: first, count: count, into: scratch.rows[1])
            saved.logSumExp.withUnsafeBufferPointer { sums in
                guard let sums = sums.baseAddress else { return }
                kernels.gradient(
                    &scratch.shape, first, count, query, transposedKeys.head(head), keys.head(head),
                    transposedValues.head(head), gradient, sums + head * queries + first, scratch.products,
                    scratch.rows[2], nil, nil, scratch.scores)
            }
        }

        func gradientBlock(
            _ head: Int, _ first: Int, _ count: Int, _ scratch: inout Scratch, dy: Tensor, q: Tensor,
            _ statistics: QueryStatistics, _ transposedKeys: Packed, _ keys: Packed, _ transposedValues: Packed,
            hasQueries: Bool, dk: UnsafeMutablePointer<Float>, dv: UnsafeMutablePointer<Float>
        ) {
            let query = packBlock(q, head: head, first: first, count: count, into: scratch.rows[0])
            let gradient = packBlock(dy, head: head, first: first, count: count, into: scratch.rows[1])
            statistics.logSumExp.withUnsafeBufferPointer { sums in
                statistics.products.withUnsafeBufferPointer { products in
                    guard let sums = sums.baseAddress, let products = products.baseAddress else { return }
                    let place = head * queries + first
                    kernels.gradient(
                        &scratch.shape, first, count, query, transposedKeys.head(head), keys.head(head),
                        transposedValues.head(head), gradient, sums + place, products + place,
                        hasQueries ? scratch.rows[2] : nil, dk, dv, scratch.scores)
                }
            }
        }
    }
}
