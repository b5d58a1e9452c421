extension RGBImage {
    /// The picture at another size, as Pillow's `Image.resize` gives it.
    /// - Precondition: the new sides are positive.
    public func resized(width: Int, height: Int, filter: ResamplingFilter = .lanczos) -> RGBImage {
        let raster = Raster(width: self.width, height: self.height, channels: 3, bytes: bytes)
        return RGBImage(
            width: width, height: height, bytes: raster.resized(width: width, height: height, filter: filter).bytes)
    }
}

extension GreyImage {
    /// The picture at another size, as Pillow's `Image.resize` gives it. A mask wants `nearest`.
    /// - Precondition: the new sides are positive.
    public func resized(width: Int, height: Int, filter: ResamplingFilter = .nearest) -> GreyImage {
        let raster = Raster(width: self.width, height: self.height, channels: 1, bytes: bytes)
        return GreyImage(
            width: width, height: height, bytes: raster.resized(width: width, height: height, filter: filter).bytes)
    }
}

extension Raster {
    func resized(width newWidth: Int, height newHeight: Int, filter: ResamplingFilter) -> Raster {
        precondition(newWidth > 0 && newHeight > 0, "a picture has at least one pixel")
        if filter == .nearest { return picked(width: newWidth, height: newHeight) }
        // An axis whose size stays is left alone. Rows go first, and are rounded to bytes between the two passes, as in
        // Pillow up to 12; Pillow 13 takes columns first where that is faster, and differs by a level here and there.
        var result = self
        if newWidth != width { result = result.resizedRows(to: newWidth, filter: filter) }
        if newHeight != height { result = result.resizedColumns(to: newHeight, filter: filter) }
        return result
    }

    private func picked(width newWidth: Int, height newHeight: Int) -> Raster {
        let columns = Self.positions(from: width, to: newWidth)
        let rows = Self.positions(from: height, to: newHeight)
        var picked: [UInt8] = []
        picked.reserveCapacity(newWidth * newHeight * channels)
        for y in 0..<newHeight {
            let row = rows[y] * width
            for column in columns {
                let start = (row + column) * channels
                picked.append(contentsOf: bytes[start..<(start + channels)])
            }
        }
        return Raster(width: newWidth, height: newHeight, channels: channels, bytes: picked)
    }

    /// The old pixel under each new one's centre. Summed up step by step, as in Pillow: where a centre falls between two
    /// pixels, the sum's rounding decides.
    private static func positions(from old: Int, to new: Int) -> [Int] {
        let step = Double(old) / Double(new)
        var centre = step * 0.5
        return (0..<new).map { _ in
            defer { centre += step }
            return min(Int(centre), old - 1)
        }
    }

    private func resizedRows(to newWidth: Int, filter: ResamplingFilter) -> Raster {
        let table = ResamplingWeights(from: width, to: newWidth, filter: filter)
        var result = [UInt8](repeating: 0, count: newWidth * height * channels)
        result.withUnsafeMutableBufferPointer { target in
            bytes.withUnsafeBufferPointer { source in
                var next = 0
                for y in 0..<height {
                    for x in 0..<newWidth {
                        for channel in 0..<channels {
                            let start = (y * width + table.first[x]) * channels + channel
                            target[next] = table.sum(of: source, from: start, by: channels, at: x)
                            next += 1
                        }
                    }
                }
            }
        }
        return Raster(width: newWidth, height: height, channels: channels, bytes: result)
    }

    private func resizedColumns(to newHeight: Int, filter: ResamplingFilter) -> Raster {
        let table = ResamplingWeights(from: height, to: newHeight, filter: filter)
        let rowCount = width * channels
        var result = [UInt8](repeating: 0, count: newHeight * rowCount)
        result.withUnsafeMutableBufferPointer { target in
            bytes.withUnsafeBufferPointer { source in
                for y in 0..<newHeight {
                    let start = table.first[y] * rowCount
                    for x in 0..<rowCount {
                        target[y * rowCount + x] = table.sum(of: source, from: start + x, by: rowCount, at: y)
                    }
                }
            }
        }
        return Raster(width: width, height: newHeight, channels: channels, bytes: result)
    }
}

extension ResamplingWeights {
    /// The sample at a new position: old samples from `start` on, `step` apart, weighted, rounded and clipped to a byte.
    fileprivate func sum(of samples: UnsafeBufferPointer<UInt8>, from start: Int, by step: Int, at position: Int)
        -> UInt8
    {
        var sum: Int32 = 1 << (Self.fractionBits - 1)
        for index in 0..<count[position] {
            // Wraps for no filter here: the weights' absolute values add up to less than two.
            sum &+= Int32(samples[start + index * step]) &* weights[position * stride + index]
        }
        return UInt8(max(0, min(255, sum >> Self.fractionBits)))
    }
}
