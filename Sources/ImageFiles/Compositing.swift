import Foundation

extension RGBImage {
    /// Puts a generated picture into this one at a place: all of it, or where the mask is 1 alone. All other pixels stay
    /// bit for bit.
    ///
    /// Inside the repainted area, within `feather` pixels of the kept one, the two are blended so that no seam shows:
    /// at Euclidean distance d (between pixel centres) from the nearest kept pixel the generated picture has the weight
    /// d / (feather + 1), at most 1; and, with a blur, erf(d / (blur sqrt 2)) at most, which is how far a straight edge
    /// that is blurred by a Gaussian of that deviation has come from its middle. No kept pixel changes; neither is a hard
    /// edge. The generated picture's border is no edge of the kept area.
    /// - Precondition: the generated picture lies inside this one; the mask has its size; `feather >= 0` and `blur >= 0`.
    public mutating func paste(
        _ generated: RGBImage, x: Int = 0, y: Int = 0, mask: BinaryMask?, feather: Int, blur: Int = 0
    ) {
        let blend = mask.map { Blend($0, feather: feather, blur: blur) }
        bytes.paste(generated, x: x, y: y, of: (width, height), blend: blend, scale: 1)
    }
}

extension DeepImage {
    /// As `RGBImage.paste`, with the generated picture's 8 bits spread over 16.
    public mutating func paste(
        _ generated: RGBImage, x: Int = 0, y: Int = 0, mask: BinaryMask?, feather: Int, blur: Int = 0
    ) {
        let blend = mask.map { Blend($0, feather: feather, blur: blur) }
        samples.paste(generated, x: x, y: y, of: (width, height), blend: blend, scale: 257)
    }
}

extension Array where Element: FixedWidthInteger {
    fileprivate mutating func paste(
        _ generated: RGBImage, x: Int, y: Int, of size: (width: Int, height: Int), blend: Blend?, scale: Double
    ) {
        precondition(x >= 0 && y >= 0, "a place can't be negative")
        precondition(
            generated.width <= size.width - x && generated.height <= size.height - y, "the picture does not fit there")
        precondition(
            blend.map { $0.mask.width == generated.width && $0.mask.height == generated.height } ?? true,
            "picture and mask differ")
        for row in 0..<generated.height {
            for column in 0..<generated.width {
                let pixel = row * generated.width + column
                guard let weight = blend.map({ $0.weight(at: pixel) }) ?? 1 else { continue }
                let target = 3 * ((y + row) * size.width + x + column)
                for channel in 0..<3 {
                    let kept = Double(self[target + channel])
                    let blended = kept + weight * (scale * Double(generated.bytes[3 * pixel + channel]) - kept)
                    self[target + channel] = Element(blended.rounded(.toNearestOrEven))
                }
            }
        }
    }
}

/// How much a generated picture counts, pixel by pixel.
private struct Blend {
    let mask: BinaryMask
    private let reach: Double
    private let blur: Double
    private let distances: DistanceToKept

    init(_ mask: BinaryMask, feather: Int, blur: Int) {
        precondition(feather >= 0 && blur >= 0, "a feather can't be negative, and a blur neither")
        self.mask = mask
        self.blur = Double(blur)
        reach = Double(feather) + 1
        // Four deviations from the edge a Gaussian's is 1 to the last level of 255.
        distances = DistanceToKept(mask, limit: max(feather, 4 * blur))
    }

    /// From 0 to 1; nil where the pixel is kept.
    func weight(at pixel: Int) -> Double? {
        guard mask.values[pixel] == 1 else { return nil }
        let distance = Double(distances.square(at: pixel)).squareRoot()
        let ramp = min(1, distance / reach)
        return blur == 0 ? ramp : min(ramp, erf(distance / (blur * 2.0.squareRoot())))
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
