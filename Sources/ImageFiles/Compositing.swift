import Foundation

extension RGBImage {
    /// The result of a job: this generated picture where the mask is 1, the original, bit for bit, where it is 0.
    ///
    /// Inside the repainted area, within `feather` pixels of the kept one, the two are blended so that no seam shows:
    /// at Euclidean distance d (between pixel centres) from the nearest kept pixel the generated picture has the weight
    /// d / (feather + 1), at most 1; and, with a blur, erf(d / (blur sqrt 2)) at most, which is how far a straight edge
    /// that is blurred by a Gaussian of that deviation has come from its middle. No kept pixel changes; neither is a hard
    /// edge. The picture's border is no edge of the kept area.
    /// - Precondition: picture, original and mask have the same sides; `feather >= 0` and `blur >= 0`.
    public func pasted(over original: RGBImage, mask: BinaryMask, feather: Int, blur: Int = 0) -> RGBImage {
        precondition(width == original.width && height == original.height, "picture and original differ in size")
        precondition(width == mask.width && height == mask.height, "picture and mask differ in size")
        precondition(feather >= 0 && blur >= 0, "a feather can't be negative, and a blur neither")
        guard mask.values.contains(0) else { return self }
        // Four deviations from the edge a Gaussian's is 1 to the last level of 255.
        let distances = DistanceToKept(mask, limit: max(feather, 4 * blur))
        var result = original
        for pixel in 0..<(width * height) where mask.values[pixel] == 1 {
            let distance = Double(distances.square(at: pixel)).squareRoot()
            let ramp = min(1, distance / (Double(feather) + 1))
            let weight = blur == 0 ? ramp : min(ramp, erf(distance / (Double(blur) * 2.0.squareRoot())))
            for sample in (3 * pixel)..<(3 * pixel + 3) {
                let kept = Double(original.bytes[sample])
                let blended = kept + weight * (Double(bytes[sample]) - kept)
                result.bytes[sample] = UInt8(blended.rounded(.toNearestOrEven))
            }
        }
        return result
    }
}

/// Euclidean distances to the nearest kept pixel, as far as `limit` pixels and one more; what is farther counts as that.
///
/// Exact, by Pythagoras over the distances within the columns.
struct DistanceToKept {
    let width: Int
    let farthest: Int
    /// The distance to the nearest kept pixel of the same column.
    let inColumn: [Int32]

    init(_ mask: BinaryMask, limit: Int) {
        width = mask.width
        // No distance within the picture reaches width + height: a longer search finds nothing more.
        let farthest = min(limit, mask.width + mask.height) + 1
        var distances = mask.values.map { $0 == 0 ? 0 : Int32(clamping: farthest) }
        for pixel in distances.indices.dropFirst(width) {
            distances[pixel] = min(distances[pixel], distances[pixel - width] + 1)
        }
        for pixel in distances.indices.dropLast(width).reversed() {
            distances[pixel] = min(distances[pixel], distances[pixel + width] + 1)
        }
        self.farthest = farthest
        inColumn = distances
    }

    func square(at pixel: Int) -> Int {
        let x = pixel % width
        var nearest = Int(inColumn[pixel]) * Int(inColumn[pixel])
        var offset = 1
        while offset * offset < nearest && offset < width {
            let left = offset <= x ? Int(inColumn[pixel - offset]) : farthest
            let right = offset < width - x ? Int(inColumn[pixel + offset]) : farthest
            let smaller = min(left, right)
            nearest = min(nearest, smaller * smaller + offset * offset)
            offset += 1
        }
        return nearest
    }
}
