import CVectorKernels

extension ScaledDotProductAttention {
    /// One evaluation: sizes, packed copies of the matrices, and the walk over heads and blocks.
    struct Run {
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
