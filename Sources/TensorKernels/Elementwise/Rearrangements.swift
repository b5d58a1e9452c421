import CVectorKernels

extension Tensor {
    /// The channels of two pictures side by side: `[h, w, a]` and `[h, w, b]` to `[h, w, a + b]`.
    public func concatenatingChannels(_ other: Tensor, in context: ComputeContext) -> Tensor {
        precondition(rows == other.rows && elementType == other.elementType, "\(shape) beside \(other.shape)")
        let width = columns + other.columns
        var both = TensorDraft(uninitialized: shape.dropLast() + [width], as: elementType, in: context)
        let target = both.elements
        context.parallel(rows, of: width) { part in
            for row in part {
                target.copy(pointer(at: row * columns), count: columns, at: row * width)
                target.copy(other.pointer(at: row * other.columns), count: other.columns, at: row * width + columns)
            }
        }
        return both.finished()
    }

    /// The channels in `range` alone.
    public func channels(_ range: Range<Int>, in context: ComputeContext) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "channels \(range) of \(columns)")
        var some = TensorDraft(uninitialized: shape.dropLast() + [range.count], as: elementType, in: context)
        let target = some.elements
        context.parallel(rows, of: range.count) { part in
            for row in part {
                target.copy(
                    pointer(at: row * columns + range.lowerBound), count: range.count, at: row * range.count)
            }
        }
        return some.finished()
    }

    /// Nearest-neighbour upsampling of `[h, w, c]` to another size: output row y takes input row floor(y h / height).
    ///
    /// At the sizes that networks ask for, 2 h and 2 h - 1, that is what `torch.nn.functional.interpolate` takes; at some
    /// others its float32 rounding takes the row beside.
    ///
    /// - Parameters:
    ///   - height: of the whole result, of which those rows are made that are this rank's.
    ///   - window: of the convolution that reads the result, of which the rows beside these are made too.
    /// - Throws: what the way to the other strips throws.
    public func resizedNearest(
        height: Int, width: Int, for window: StripWindow? = nil, in context: ComputeContext
    ) throws -> Tensor {
        let h = context.cut(of: self).height
        let result = window?.needed ?? context.cut(width: width, height: height).rows
        func source(_ y: Int) -> Int { y * h / height }
        let needed = { (rows: Range<Int>) in source(rows.lowerBound)..<source(rows.upperBound - 1) + 1 }
        let input = try context.rows(of: self) { needed(result[$0]) }
        let rows = result[context.ownStrip]
        let first = needed(rows).lowerBound
        let w = shape[1]
        var draft = TensorDraft(uninitialized: [rows.count, width, columns], as: elementType, in: context)
        let target = draft.elements
        context.parallel(rows.count, of: width * columns) { part in
            for y in part {
                let line = (source(rows.lowerBound + y) - first) * w
                for x in 0..<width {
                    target.copy(
                        input.pointer(at: (line + x * w / width) * columns), count: columns,
                        at: (y * width + x) * columns)
                }
            }
        }
        return draft.finished()
    }

    /// The gradient of `resizedNearest`: each input position's sum over the outputs that took it. `self` is dy.
    ///
    /// - Parameter h: the height of the whole input, of which those rows are made that are this rank's.
    public func resizedNearestGradient(height h: Int, width w: Int, in context: ComputeContext) throws -> Tensor {
        let (height, width) = (context.cut(of: self).height, shape[1])
        let result = context.cut(width: w, height: h)
        func needed(_ rows: Range<Int>) -> Range<Int> {
            Self.taken(rows.lowerBound, of: h, by: height)
                .lowerBound..<Self.taken(rows.upperBound - 1, of: h, by: height).upperBound
        }
        let dy = try context.rows(of: self) { needed(result.rows[$0]) }
        let rows = result.rows[context.ownStrip]
        let first = needed(rows).lowerBound
        var draft = TensorDraft(uninitialized: [rows.count, w, columns], as: elementType, in: context)
        let elements = draft.elements
        context.parallel(rows.count, of: width * height / h * columns) { part in
            for y in part {
                let lines = Self.taken(rows.lowerBound + y, of: h, by: height)
                for x in 0..<w {
                    let target = elements.pointer(at: (y * w + x) * columns)
                    var isFirst = true
                    for line in lines {
                        for sourceX in Self.taken(x, of: w, by: width) {
                            let source = dy.pointer(at: ((line - first) * width + sourceX) * columns)
                            if isFirst {
                                target.copyMemory(from: source, byteCount: columns * elementType.byteCount)
                                isFirst = false
                            } else {
                                context.kernels.add(kernelType, target, source, target, columns)
                            }
                        }
                    }
                    if isFirst {
                        target.initializeMemory(as: UInt8.self, repeating: 0, count: columns * elementType.byteCount)
                    }
                }
            }
        }
        return draft.finished()
    }

    /// The outputs i of `count` with floor(i h / count) == index.
    private static func taken(_ index: Int, of h: Int, by count: Int) -> Range<Int> {
        (index * count + h - 1) / h..<((index + 1) * count + h - 1) / h
    }

    /// `[h, w, c]` from planes, `[c, h, w]`.
    public init(planes: [Float], channels: Int, height: Int, width: Int, in context: ComputeContext) {
        precondition(planes.count == channels * height * width, "planes must fill their shape")
        var values = [Float](repeating: 0, count: planes.count)
        for channel in 0..<channels {
            for position in 0..<height * width {
                values[position * channels + channel] = planes[channel * height * width + position]
            }
        }
        self.init(values, shape: [height, width, channels], in: context)
    }

    /// The planes of `[h, w, c]`, as `[c, h, w]`.
    public var planes: [Float] {
        let values = floats
        let (positions, channels) = (rows, columns)
        var planes = [Float](repeating: 0, count: values.count)
        for position in 0..<positions {
            for channel in 0..<channels {
                planes[channel * positions + position] = values[position * channels + channel]
            }
        }
        return planes
    }
}
