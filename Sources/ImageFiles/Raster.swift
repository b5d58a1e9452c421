import Failures

/// Decoded samples before it is known what they are for: `[height, width, channels]`, row-major, 8 bits each.
struct Raster: Sendable, Equatable {
    let width: Int
    let height: Int
    /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
    let channels: Int
    var bytes: [UInt8]

    var hasAlpha: Bool { channels == 2 || channels == 4 }

    /// Zeroed room for a picture whose file claims these sides.
    /// - Throws: `Failure.badData`, before it allocates, if there are more pixels than `limit`.
    static func checkedRoom(
        for path: String, width: UInt32, height: UInt32, channels: Int32, limit: Int
    ) throws -> Raster {
        try check(path, width: width, height: height, limit: limit)
        let count = Int(width) * Int(height) * Int(channels)
        return Raster(
            width: Int(width), height: Int(height), channels: Int(channels), bytes: [UInt8](repeating: 0, count: count))
    }

    /// - Throws: `Failure.badData` if there are more pixels than `limit`.
    static func check(_ path: String, width: UInt32, height: UInt32, limit: Int) throws {
        // Two numbers of 32 bits: the product fits 64.
        guard UInt64(width) * UInt64(height) <= UInt64(limit) else {
            let claim = "\(width) x \(height) pixels"
            throw Failure.badData("\(path): it claims \(claim), and a picture may have \(limit / 1_000_000) megapixels")
        }
    }

    /// Turned and mirrored as an EXIF orientation (1 to 8) asks; other numbers change nothing.
    func oriented(_ orientation: Int) -> Raster {
        let turned = bytes.oriented(orientation, width: width, height: height, channels: channels)
        return Raster(width: turned.width, height: turned.height, channels: channels, bytes: turned.samples)
    }
}

extension Array where Element: FixedWidthInteger {
    /// These samples, `[height, width, channels]`, turned and mirrored as an EXIF orientation (1 to 8) asks; other
    /// numbers change nothing.
    func oriented(
        _ orientation: Int, width: Int, height: Int, channels: Int
    ) -> (samples: [Element], width: Int, height: Int) {
        guard (2...8).contains(orientation) else { return (self, width, height) }
        let swapsSides = orientation >= 5
        let fromRight = [2, 3, 7, 8].contains(orientation)
        let fromBottom = [3, 4, 6, 7].contains(orientation)
        let (newWidth, newHeight) = swapsSides ? (height, width) : (width, height)
        // One step right, and one step down, in the result is this many pixels in the original.
        let column = fromRight ? -1 : 1
        let row = fromBottom ? -width : width
        let (stepRight, stepDown) = swapsSides ? (row, column) : (column, row)
        let start = (fromRight ? width - 1 : 0) + (fromBottom ? (height - 1) * width : 0)

        var result = [Element](repeating: 0, count: count)
        withUnsafeBufferPointer { source in
            result.withUnsafeMutableBufferPointer { target in
                var next = 0
                for y in 0..<newHeight {
                    var pixel = start + y * stepDown
                    for _ in 0..<newWidth {
                        for channel in 0..<channels { target[next + channel] = source[pixel * channels + channel] }
                        next += channels
                        pixel += stepRight
                    }
                }
            }
        }
        return (result, newWidth, newHeight)
    }
}
