import ImageFiles
import PilotInpainting

/// What the networks see at a time: the whole photograph, or a cut of it.
struct JobPart: Sendable {
    let geometry: JobGeometry
    /// What is repainted of it, at its own size.
    let mask: BinaryMask
    /// It in sRGB, at the size that the networks see.
    let picture: RGBImage
    /// M: what is repainted of that.
    let pictureMask: BinaryMask
    let latentMask: LatentMask
    /// What each ControlNet sees of it.
    private(set) var controlMaps: [ControlMap] = []
    /// What each T2I-Adapter sees.
    private(set) var adapterMaps: [ControlMap] = []

    /// - Parameter isChosen: whether the area is the program's choice.
    /// - Throws: `Failure` naming the option.
    static func parts(
        of photograph: RGBImage, mask: BinaryMask, colours: ColourConversion, _ settings: JobSettings,
        model: ModelSizes, isChosen: Bool
    ) throws -> [JobPart] {
        let size = PictureSize(width: photograph.width, height: photograph.height)
        let downsample = settings.method.maskDownsample
        let cuts = settings.area == .mask ? try CutPlan(settings, photograph: size, model: model) : nil
        let places = try cuts?.cuts(of: mask, each: settings.areaEach == true) ?? []
        guard !places.isEmpty else {
            let geometry = try JobGeometry(photograph: size, asked: settings.size, model: model)
            return [JobPart(geometry, photograph, mask, colours, downsample)]
        }
        return places.map { cut in
            JobPart(
                JobGeometry(cut, of: size, model: model, isFitted: isChosen), photograph.cut(cut.box),
                mask.cut(cut.box), colours, downsample)
        }
    }

    /// - Parameters:
    ///   - pixels: as they are in the photograph.
    ///   - mask: of the same size.
    private init(
        _ geometry: JobGeometry, _ pixels: RGBImage, _ mask: BinaryMask, _ colours: ColourConversion,
        _ downsample: PilotParameters.MaskDownsample
    ) {
        self.geometry = geometry
        self.mask = mask
        let (size, isResized) = (geometry.picture, geometry.picture != geometry.original)
        picture = colours.toSRGB(isResized ? pixels.resized(width: size.width, height: size.height) : pixels)
        // What is covered is told by the photograph's own pixels: thin parts may be lost in a smaller picture.
        pictureMask =
            !isResized
            ? mask
            : downsample == .max && size.width <= mask.width && size.height <= mask.height
                ? mask.covering(size) : mask.resized(width: size.width, height: size.height)
        let fits = geometry.latentWidth <= mask.width && geometry.latentHeight <= mask.height
        latentMask = LatentMask(
            downsample == .max && fits ? mask : pictureMask, height: geometry.latentHeight,
            width: geometry.latentWidth, downsample: downsample)
    }

    /// x_in (1 - M), planes `[3, height, width]` in [-1, 1]: the picture, mid-grey where it is repainted.
    var maskedPlanes: [Float] {
        var planes = picture.planes
        let count = pictureMask.values.count
        for index in planes.indices where pictureMask.values[index % count] == 1 { planes[index] = 0 }
        return planes
    }

    /// The same with the maps of the job's ControlNets and T2I-Adapters.
    func with(mapsOf settings: JobSettings, from pictures: NetworkPictures) -> JobPart {
        var part = self
        part.controlMaps = zip(settings.controls ?? [], pictures.controls).map { control, picture in
            ControlMap(control, of: source(picture), photograph: self.picture, mask: pictureMask)
        }
        part.adapterMaps = zip(settings.t2iAdapters ?? [], pictures.t2iAdapters).map { adapter, picture in
            ControlMap(adapter.preprocessing, of: source(picture))
        }
        return part
    }

    /// What a map is made from, at the size that the networks see. A picture of another size than the photograph's is
    /// stretched to it, so that a cut of the photograph sees the same cut of the map.
    private func source(_ picture: DecodedImage?) -> RGBImage {
        picture.map { $0.atJobSize(geometry.picture, of: box, in: geometry.photograph) } ?? self.picture
    }

    /// Where it lies in the photograph.
    var box: PixelBox {
        geometry.cut?.box ?? PixelBox(x: 0..<geometry.photograph.width, y: 0..<geometry.photograph.height)
    }

    /// Whether the shipped model could know it.
    var likeness: SceneLikeness { SceneLikeness(picture, mask: pictureMask, photograph: geometry.original) }
}

extension CutPlan {
    fileprivate init(_ settings: JobSettings, photograph: PictureSize, model: ModelSizes) throws {
        try self.init(
            photograph: photograph, model: model, asked: settings.size, padding: settings.areaPadding ?? .standard,
            feather: settings.pastesKeptPixels ? settings.feather : 0)
    }
}

extension BinaryMask {
    /// The mask at a smaller size, where a pixel is repainted if it covers one that is, in part or whole.
    fileprivate func covering(_ size: PictureSize) -> BinaryMask {
        let smaller = LatentMask(self, height: size.height, width: size.width, downsample: .max)
        return BinaryMask(width: size.width, height: size.height, values: smaller.values.map { UInt8($0) })
    }
}

extension LatentMask {
    fileprivate init(_ mask: BinaryMask, height: Int, width: Int, downsample: PilotParameters.MaskDownsample) {
        self.init(
            pixels: mask.values.map { $0 == 1 }, imageHeight: mask.height, imageWidth: mask.width, height: height,
            width: width, downsample: downsample)
    }
}
