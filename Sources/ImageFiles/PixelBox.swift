/// An upright rectangle of pixels.
public struct PixelBox: Equatable, Sendable {
    /// Columns and rows; never empty.
    public var x: Range<Int>
    public var y: Range<Int>

    /// - Precondition: neither range is empty.
    public init(x: Range<Int>, y: Range<Int>) {
        precondition(!x.isEmpty && !y.isEmpty, "a box has at least one pixel")
        self.x = x
        self.y = y
    }

    /// The smallest box around both.
    public func union(_ other: PixelBox) -> PixelBox {
        PixelBox(
            x: min(x.lowerBound, other.x.lowerBound)..<max(x.upperBound, other.x.upperBound),
            y: min(y.lowerBound, other.y.lowerBound)..<max(y.upperBound, other.y.upperBound))
    }

    public func overlaps(_ other: PixelBox) -> Bool { x.overlaps(other.x) && y.overlaps(other.y) }

    /// Larger by so many pixels on every side, as far as a picture of that size reaches.
    public func padded(by padding: Int, inside size: (width: Int, height: Int)) -> PixelBox {
        PixelBox(
            x: max(0, x.lowerBound - padding)..<min(size.width, x.upperBound + padding),
            y: max(0, y.lowerBound - padding)..<min(size.height, y.upperBound + padding))
    }
}

extension RGBImage {
    /// The pixels of the box as a picture.
    ///
    /// - Precondition: the box lies inside the picture.
    public func cut(_ box: PixelBox) -> RGBImage {
        RGBImage(width: box.x.count, height: box.y.count, bytes: bytes.cut(box, width: width, channels: 3))
    }
}

extension BinaryMask {
    /// The pixels of the box as a mask.
    ///
    /// - Precondition: the box lies inside the mask.
    public func cut(_ box: PixelBox) -> BinaryMask {
        BinaryMask(width: box.x.count, height: box.y.count, values: values.cut(box, width: width, channels: 1))
    }

    /// The mask at another size: the pixel under the centre of the new one.
    ///
    /// - Precondition: the new sides are positive.
    public func resized(width newWidth: Int, height newHeight: Int) -> BinaryMask {
        let raster = Raster(width: width, height: height, channels: 1, bytes: values)
        return BinaryMask(
            width: newWidth, height: newHeight,
            values: raster.resized(width: newWidth, height: newHeight, filter: .nearest).bytes)
    }
}

extension Array {
    fileprivate func cut(_ box: PixelBox, width: Int, channels: Int) -> [Element] {
        var pixels: [Element] = []
        pixels.reserveCapacity(box.x.count * box.y.count * channels)
        for y in box.y {
            pixels += self[(y * width + box.x.lowerBound) * channels..<(y * width + box.x.upperBound) * channels]
        }
        return pixels
    }
}
