import DiffusionModels
import ImageFiles

/// A control map as it was made for a job.
struct ControlMap: Sendable {
    /// At the job's size.
    let picture: RGBImage

    /// - Parameters:
    ///   - source: what the map is made from, in sRGB at the job's size.
    ///   - photograph: at the same size.
    ///   - mask: of the same size.
    init(_ settings: ControlSettings, of source: RGBImage, photograph: RGBImage, mask: BinaryMask) {
        var map = source.preprocessed(settings.preprocessing)
        if settings.background == .canny {
            map = map.replaced(by: RGBImage(photograph.edges()), where: mask.inverted)
        }
        picture = map
    }

    /// The map of a T2I-Adapter.
    init(_ preprocessing: ControlSettings.Preprocessing, of source: RGBImage) {
        picture = source.preprocessed(preprocessing)
    }

    /// `[3, H, W]` in [0, 1], as the net takes it.
    func latent(isBGR: Bool) -> Latent {
        let count = picture.width * picture.height
        var values = [Float](repeating: 0, count: 3 * count)
        for pixel in 0..<count {
            for channel in 0..<3 {
                let plane = isBGR ? 2 - channel : channel
                values[plane * count + pixel] = Float(picture.bytes[3 * pixel + channel]) / 255
            }
        }
        return Latent(channels: 3, height: picture.height, width: picture.width, values: values)
    }

    /// The same for a network that takes so many channels, in this order; `[1, H, W]` for one that takes grey.
    func latent(channels: Int) -> Latent {
        guard channels == 1 else { return latent(isBGR: false) }
        let bytes = picture.bytes
        let values = (0..<picture.width * picture.height).map { pixel in
            Float(Self.grey(bytes[3 * pixel], bytes[3 * pixel + 1], bytes[3 * pixel + 2])) / 255
        }
        return Latent(channels: 1, height: picture.height, width: picture.width, values: values)
    }

    /// Pillow's `L`, to the bit.
    private static func grey(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> Int {
        (19595 * Int(red) + 38470 * Int(green) + 7471 * Int(blue) + 32768) >> 16
    }

    /// What the user should hear of a map that a net can do little with.
    ///
    /// - Parameters:
    ///   - name: of the map's file.
    ///   - option: that names the net.
    func warning(about name: String, for option: String) -> String? {
        let bytes = picture.bytes
        if bytes.allSatisfy({ $0 == 0 }) { return "\(name): the control map is all black, and says nothing to a net" }
        let white = bytes.count { $0 >= Self.nearlyWhite }
        let dark = bytes.count { $0 < Self.dark }
        guard Double(white) >= Self.paper * Double(bytes.count), dark > 0 else { return nil }
        return
            "\(name): looks like ink on paper, and nets for scribbles and edges were trained on white lines on black; "
            + "\(option)-preprocess invert turns it round"
    }

    private static let nearlyWhite: UInt8 = 240
    private static let dark: UInt8 = 96
    /// The share of a drawing that is paper.
    private static let paper = 0.75
}

extension RGBImage {
    func preprocessed(_ way: ControlSettings.Preprocessing) -> RGBImage {
        switch way {
        case .none: return self
        case .canny: return RGBImage(edges())
        case .invert: return RGBImage(width: width, height: height, bytes: bytes.map { 255 - $0 })
        case .tile:
            let tiles = Self.tilesPerSide
            return resized(width: tiles, height: tiles, filter: .bicubic)
                .resized(width: width, height: height, filter: .nearest)
        }
    }

    private static let tilesPerSide = 8

    /// A grey picture in three equal channels.
    init(_ grey: GreyImage) {
        self.init(width: grey.width, height: grey.height, bytes: grey.bytes.flatMap { [$0, $0, $0] })
    }

    /// Another picture's pixels where a mask is 1.
    fileprivate func replaced(by other: RGBImage, where mask: BinaryMask) -> RGBImage {
        var bytes = bytes
        for pixel in 0..<width * height where mask.values[pixel] == 1 {
            for byte in 3 * pixel..<3 * pixel + 3 { bytes[byte] = other.bytes[byte] }
        }
        return RGBImage(width: width, height: height, bytes: bytes)
    }
}
