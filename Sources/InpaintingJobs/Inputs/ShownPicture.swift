import DiffusionModels
import Failures
import ImageFiles

/// A picture as an image encoder sees it.
enum ShownPicture {
    /// More would make a strip of the encoder's height that no memory holds.
    private static let mostAspect = 64

    /// `[3, side, side]` in the encoder's own colours: brought to its size by Pillow's bicubic filter, and cut or squashed
    /// to a square.
    ///
    /// - Throws: `Failure.badData` for a picture that is far longer than wide.
    static func planes(of picture: DecodedImage, side: Int, fit: IPAdapterSettings.Fit) throws -> Latent {
        let colours = picture.colours.toSRGB(picture.rgb)
        let (shorter, longer) = (min(colours.width, colours.height), max(colours.width, colours.height))
        guard longer <= shorter * mostAspect else {
            throw Failure.badData(
                "--ip-adapter-image \(picture.path): expected a picture that is \(mostAspect) times as long as wide at most, "
                    + "found \(colours.width)x\(colours.height)")
        }
        let square = fit == .squash ? colours.fitted(side, side) : colours.cropped(side)
        let count = side * side
        var values = [Float](repeating: 0, count: 3 * count)
        for pixel in 0..<count {
            for channel in 0..<3 { values[channel * count + pixel] = Float(square.bytes[3 * pixel + channel]) / 255 }
        }
        return ImageEncoder.normalized(Latent(channels: 3, height: side, width: side, values: values))
    }
}

extension RGBImage {
    fileprivate func fitted(_ newWidth: Int, _ newHeight: Int) -> RGBImage {
        width == newWidth && height == newHeight
            ? self : resized(width: newWidth, height: newHeight, filter: .bicubic)
    }

    /// The middle, with the shorter side brought to `side`.
    fileprivate func cropped(_ side: Int) -> RGBImage {
        let shorter = min(width, height)
        let fitted = fitted(side * width / shorter, side * height / shorter)
        let (left, top) = ((fitted.width - side) / 2, (fitted.height - side) / 2)
        return fitted.cut(PixelBox(x: left..<left + side, y: top..<top + side))
    }
}
