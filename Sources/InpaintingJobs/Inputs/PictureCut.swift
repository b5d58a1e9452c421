import ImageFiles

/// A part of the photograph that is computed as a picture of its own, and then put back.
public struct PictureCut: Codable, Equatable, Sendable {
    /// Columns to the left of it, and rows above.
    public let x: Int
    public let y: Int
    public let width: Int
    public let height: Int
    /// The size at which the networks see it.
    public let picture: PictureSize
    /// Pixels that the networks see for one of the photograph along a side; the geometric mean of both sides.
    public let scale: Double

    package init(x: Int, y: Int, width: Int, height: Int, picture: PictureSize) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
        self.picture = picture
        let pixels = Double(picture.width) * Double(picture.height) / (Double(width) * Double(height))
        scale = (pixels.squareRoot() * 10_000).rounded() / 10_000
    }

    /// Its size in the photograph.
    public var size: PictureSize { PictureSize(width: width, height: height) }

    var box: PixelBox { PixelBox(x: x..<x + width, y: y..<y + height) }
}
