extension Tensor {
    /// A picture `[h, w, c]` at half its size: the means of squares of two by two positions. Where a side is odd, those at
    /// its end have a column or a row less. PyTorch's `AvgPool2d` with `ceil_mode`.
    ///
    /// - Precondition: the tensor is float32.
    public func averagePooled(in context: ComputeContext) -> Tensor {
        precondition(elementType == .float32 && shape.count == 3, "a picture in float32, not \(shape)")
        let (height, width, channels) = (shape[0], shape[1], columns)
        let (rows, positions) = ((height + 1) / 2, (width + 1) / 2)
        var result = TensorDraft(uninitialized: [rows, positions, channels], as: .float32, in: context)
        let target = result.elements
        context.parallel(rows, of: positions * channels) { part in
            let source = pointer(at: 0).assumingMemoryBound(to: Float.self)
            for y in part {
                for x in 0..<positions {
                    let (below, beside) = (min(2 * y + 1, height - 1), min(2 * x + 1, width - 1))
                    let count = Float((below - 2 * y + 1) * (beside - 2 * x + 1))
                    let mean = target.pointer(at: (y * positions + x) * channels).assumingMemoryBound(to: Float.self)
                    for channel in 0..<channels {
                        var sum: Float = 0
                        for row in 2 * y...below {
                            for column in 2 * x...beside { sum += source[(row * width + column) * channels + channel] }
                        }
                        mean[channel] = sum / count
                    }
                }
            }
        }
        return result.finished()
    }

    /// max(x, 0) of every element. PyTorch's `ReLU`.
    ///
    /// - Precondition: the tensor is float32.
    public func rectified(in context: ComputeContext) -> Tensor {
        precondition(elementType == .float32, "in float32")
        var result = TensorDraft(uninitialized: shape, as: .float32, in: context)
        let target = result.elements
        context.parallel(count, of: 1) { part in
            let source = pointer(at: 0).assumingMemoryBound(to: Float.self)
            let values = target.pointer(at: 0).assumingMemoryBound(to: Float.self)
            for index in part { values[index] = max(source[index], 0) }
        }
        return result.finished()
    }

    /// Planes `[c, H, W]` as a picture `[H / f, W / f, c f f]` whose positions are squares of f by f pixels: channel, row
    /// and column of a pixel in its square are the channel, in this order. PyTorch's `PixelUnshuffle`.
    ///
    /// - Precondition: the sides are multiples of `factor`.
    public init(
        unshuffling planes: [Float], channels: Int, height: Int, width: Int, factor: Int, in context: ComputeContext
    ) {
        precondition(planes.count == channels * height * width, "planes must fill their shape")
        precondition(height % factor == 0 && width % factor == 0, "\(height) x \(width) by squares of \(factor)")
        let (rows, columns) = (height / factor, width / factor)
        var values: [Float] = []
        values.reserveCapacity(planes.count)
        for y in 0..<rows {
            for x in 0..<columns {
                for channel in 0..<channels {
                    for row in y * factor..<(y + 1) * factor {
                        let first = (channel * height + row) * width + x * factor
                        values += planes[first..<first + factor]
                    }
                }
            }
        }
        self.init(values, shape: [rows, columns, channels * factor * factor], as: .float32, in: context)
    }
}
