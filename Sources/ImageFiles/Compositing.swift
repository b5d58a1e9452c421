extension RGBImage {
    /// The result of a job: this generated picture where the mask is 1, the original, bit for bit, where it is 0.
    ///
    /// Inside the repainted area, within `feather` pixels of the kept one, the two are blended so that no seam shows:
    /// at Euclidean distance d (between pixel centres) from the nearest kept pixel the generated picture has the weight
    /// d / (feather + 1), at most 1. No kept pixel changes; a feather of 0 is a hard edge. The picture's border is no
    /// edge of the kept area.
    /// - Precondition: picture, original and mask have the same sides; `feather >= 0`.
    public func pasted(over original: RGBImage, mask: BinaryMask, feather: Int) -> RGBImage {
        precondition(width == original.width && height == original.height, "picture and original differ in size")
        precondition(width == mask.width && height == mask.height, "picture and mask differ in size")
        precondition(feather >= 0, "a feather can't be negative")
        guard mask.values.contains(0) else { return self }
        // No distance within the picture reaches width + height, so a wider search finds nothing more.
        let limit = min(feather, width + height) + 1
        let columns = mask.squaredDistancesInColumns(limit: limit)
        var result = original
        for pixel in 0..<(width * height) where mask.values[pixel] == 1 {
            let distance = Double(mask.squaredDistance(at: pixel, inColumns: columns, limit: limit)).squareRoot()
            let weight = min(1, distance / (Double(feather) + 1))
            for sample in (3 * pixel)..<(3 * pixel + 3) {
                let kept = Double(original.bytes[sample])
                let blended = kept + weight * (Double(bytes[sample]) - kept)
                result.bytes[sample] = UInt8(blended.rounded(.toNearestOrEven))
            }
        }
        return result
    }
}

extension BinaryMask {
    /// For each pixel the square of the distance to the nearest kept pixel in its column, at most `limit * limit`.
    fileprivate func squaredDistancesInColumns(limit: Int) -> [Int] {
        var distances = [Int](repeating: limit, count: values.count)
        func sweep(_ rows: some Sequence<Int>, from previous: Int) {
            for y in rows {
                for x in 0..<width {
                    let pixel = y * width + x
                    let neighbour = y + previous
                    let reached = (0..<height).contains(neighbour) ? distances[neighbour * width + x] + 1 : limit
                    distances[pixel] = values[pixel] == 0 ? 0 : min(distances[pixel], reached)
                }
            }
        }
        sweep(0..<height, from: -1)
        sweep((0..<height).reversed(), from: 1)
        return distances.map { $0 * $0 }
    }

    /// The square of the distance to the nearest kept pixel, at most `limit * limit`: exact, by Pythagoras over the
    /// columns within reach.
    fileprivate func squaredDistance(at pixel: Int, inColumns columns: [Int], limit: Int) -> Int {
        let x = pixel % width
        var nearest = limit * limit
        var offset = 0
        while offset * offset < nearest && offset < width {
            for column in [x - offset, x + offset] where (0..<width).contains(column) {
                nearest = min(nearest, columns[pixel - x + column] + offset * offset)
            }
            offset += 1
        }
        return nearest
    }
}
