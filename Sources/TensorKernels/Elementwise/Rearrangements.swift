import CVectorKernels

extension Tensor {
    /// The channels of two pictures side by side: `[h, w, a]` and `[h, w, b]` to `[h, w, a + b]`.
    public func concatenatingChannels(_ other: Tensor, in context: ComputeContext) -> Tensor {
        precondition(rows == other.rows && elementType == other.elementType, "\(shape) beside \(other.shape)")
        let both = Tensor(
            uninitialized: shape.dropLast() + [columns + other.columns], elementType, in: context)
        context.parallel(rows) { part in
            for row in part {
                both.copyRow(row, at: 0, from: self, row, at: 0, count: columns)
                both.copyRow(row, at: columns, from: other, row, at: 0, count: other.columns)
            }
        }
        return both
    }

    /// The channels in `range` alone.
    public func channels(_ range: Range<Int>, in context: ComputeContext) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "channels \(range) of \(columns)")
        let part = Tensor(uninitialized: shape.dropLast() + [range.count], elementType, in: context)
        context.parallel(rows) { rows in
            for row in rows { part.copyRow(row, at: 0, from: self, row, at: range.lowerBound, count: range.count) }
        }
        return part
    }

    private func copyRow(_ row: Int, at column: Int, from other: Tensor, _ otherRow: Int, at first: Int, count: Int) {
        pointer(at: row * columns + column).copyMemory(
            from: other.pointer(at: otherRow * other.columns + first), byteCount: count * elementType.byteCount)
    }

    /// Nearest-neighbour upsampling of `[h, w, c]` to another size: output row y takes input row floor(y h / height).
    ///
    /// At the sizes that networks ask for, 2 h and 2 h - 1, that is what `torch.nn.functional.interpolate` takes; at some
    /// others its float32 rounding takes the row beside.
    public func resizedNearest(height: Int, width: Int, in context: ComputeContext) -> Tensor {
        let (h, w) = (shape[0], shape[1])
        let result = Tensor(uninitialized: [height, width, columns], elementType, in: context)
        context.parallel(height) { part in
            for y in part {
                for x in 0..<width {
                    result.copyRow(
                        y * width + x, at: 0, from: self, y * h / height * w + x * w / width, at: 0, count: columns)
                }
            }
        }
        return result
    }

    /// The gradient of `resizedNearest`: each input position's sum over the outputs that took it. `self` is dy.
    public func resizedNearestGradient(height h: Int, width w: Int, in context: ComputeContext) -> Tensor {
        let (height, width) = (shape[0], shape[1])
        let result = Tensor(uninitialized: [h, w, columns], elementType, in: context)
        context.parallel(h) { part in
            for y in part {
                for x in 0..<w {
                    let target = result.pointer(at: (y * w + x) * columns)
                    var isFirst = true
                    for sourceY in Self.taken(y, of: h, by: height) {
                        for sourceX in Self.taken(x, of: w, by: width) {
                            let source = pointer(at: (sourceY * width + sourceX) * columns)
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
        return result
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
