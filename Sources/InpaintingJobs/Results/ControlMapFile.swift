import Failures
import ImageFiles

/// A control map on its own, as a job would make it: for looking, or for changing by hand.
public enum ControlMapFile {
    /// Writes the map that `way` makes of a picture.
    ///
    /// - Parameters:
    ///   - size: what the picture is brought to first; nil for its own.
    ///   - warn: hears of what did not prevent the reading.
    /// - Throws: `Failure` naming the file.
    public static func write(
        from image: String, by way: ControlSettings.Preprocessing, size: PictureSize?, to output: String,
        overwrites: Bool, warn: (String) -> Void
    ) throws {
        var files = FileClaims()
        files.read(image, by: "the picture")
        try files.write(output, by: "--output")
        try ResultFormat.checkPNG(output, by: "--output", "maps")
        if !overwrites { try AtomicFile.checkAreNew([output]) }
        try AtomicFile.checkWritable(output)
        let picture = try DecodedImage.read(image)
        for warning in picture.warnings { warn(warning) }
        let target = size ?? PictureSize(width: picture.width, height: picture.height)
        guard ModelSizes.areAllowed(target) else {
            throw Failure.usage(
                "--size: a map has \(ModelSizes.mostPixels) pixels at most (2048x2048), found \(target); give a smaller "
                    + "--size, the job's")
        }
        let map = picture.atJobSize(target).preprocessed(way)
        try map.writePNG(to: output, metadata: PictureMetadata())
    }
}

extension DecodedImage {
    /// As networks see it: at a job's size, in sRGB.
    func atJobSize(_ size: PictureSize) -> RGBImage { colours.toSRGB(rgb.fitted(size)) }

    /// The same of a part of it, `box` of a photograph of the size `photograph`, to which it is stretched.
    func atJobSize(_ size: PictureSize, of box: PixelBox, in photograph: PictureSize) -> RGBImage {
        let isWhole = box == PixelBox(x: 0..<photograph.width, y: 0..<photograph.height)
        return isWhole ? atJobSize(size) : colours.toSRGB(rgb.fitted(photograph).cut(box).fitted(size))
    }
}

extension RGBImage {
    /// At another size, if it has another.
    fileprivate func fitted(_ size: PictureSize) -> RGBImage {
        size == PictureSize(width: width, height: height) ? self : resized(width: size.width, height: size.height)
    }
}
