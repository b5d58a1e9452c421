extension Tensor {
    /// Every element times `factor`, in float32; the tensor itself where that changes nothing.
    ///
    /// - Precondition: the tensor is float32.
    public func scaled(by factor: Float, in context: ComputeContext) -> Tensor {
        precondition(elementType == .float32, "sums are float32")
        guard factor != 1 else { return self }
        var result = TensorDraft(uninitialized: shape, as: .float32, in: context)
        let target = result.elements
        context.parallel(count, of: 1) { part in
            let source = pointer(at: 0).assumingMemoryBound(to: Float.self)
            let products = target.pointer(at: 0).assumingMemoryBound(to: Float.self)
            for index in part { products[index] = source[index] * factor }
        }
        return result.finished()
    }

    /// Every row whose entry in `mask` is 1 times `factor`, and zeros in the others.
    ///
    /// - Parameter mask: one entry a row; nil for all rows.
    /// - Precondition: the tensor is float32.
    public func scaled(by factor: Float, where mask: [UInt8]?, in context: ComputeContext) -> Tensor {
        guard let mask else { return scaled(by: factor, in: context) }
        precondition(elementType == .float32 && mask.count == rows, "an entry for each of \(rows) rows of sums")
        let columns = columns
        var result = TensorDraft(uninitialized: shape, as: .float32, in: context)
        let target = result.elements
        context.parallel(rows, of: columns) { part in
            for row in part {
                let source = pointer(at: row * columns).assumingMemoryBound(to: Float.self)
                let products = target.pointer(at: row * columns).assumingMemoryBound(to: Float.self)
                for column in 0..<columns { products[column] = mask[row] == 1 ? source[column] * factor : 0 }
            }
        }
        return result.finished()
    }

    /// A picture `[h, w, c]` in which every position has the mean over all of them, channel by channel.
    ///
    /// Rows are summed up one by one, then added from the top down, so the bits are those of any number of threads and of
    /// any cut into strips. It is its own adjoint.
    ///
    /// - Precondition: the tensor is float32.
    /// - Throws: what the way to the other strips throws.
    public func averagedOverPositions(in context: ComputeContext) throws -> Tensor {
        precondition(elementType == .float32 && shape.count == 3, "a picture of sums, not \(shape)")
        let (height, width, channels) = (shape[0], shape[1], columns)
        var rowSums = [Double](repeating: 0, count: height * channels)
        let source = pointer(at: 0).assumingMemoryBound(to: Float.self)
        for y in 0..<height {
            var row = [Float](repeating: 0, count: channels)
            for x in 0..<width {
                let position = source + (y * width + x) * channels
                for channel in 0..<channels { row[channel] += position[channel] }
            }
            for channel in 0..<channels { rowSums[y * channels + channel] = Double(row[channel]) }
        }
        let all = try context.inRowOrder(rowSums, of: self)
        let sums = stride(from: 0, to: all.count, by: channels).reduce(into: [Float](repeating: 0, count: channels)) {
            for channel in 0..<channels { $0[channel] += Float(all[$1 + channel]) }
        }
        let means = sums.map { $0 / Float(context.strip(of: self).height * width) }
        var result = TensorDraft(uninitialized: shape, as: .float32, in: context)
        let target = result.elements
        context.parallel(height * width, of: channels) { part in
            for position in part {
                means.withUnsafeBytes { bytes in
                    guard let base = bytes.baseAddress else { return }
                    target.copy(base, count: channels, at: position * channels)
                }
            }
        }
        return result.finished()
    }
}
