/// What a file says beside its pixels, before it is decided what of it a result can have.
struct FileMetadata {
    let colours: ColourSpace
    /// Why the file's colour profile can't be used, if there is one that can't.
    let profileFault: ICCProfile.Fault?
    let resolution: PictureMetadata.Resolution?
    let exif: ExifData?

    init(
        colours: ColourSpace, profileFault: ICCProfile.Fault?, resolution: PictureMetadata.Resolution?, exif: [UInt8]
    ) {
        self.colours = colours
        self.profileFault = profileFault
        self.exif = ExifData(exif)
        self.resolution = resolution ?? self.exif?.resolution
    }

    init(_ segments: JPEGSegments, hasInks: Bool) {
        var colours = ColourSpace.unsaid
        var fault: ICCProfile.Fault?
        do throws(ICCProfile.Fault) {
            if let profile = try segments.profile() { colours = .profile(profile) }
        } catch {
            // That a profile of inks goes is said with the inks.
            fault = hasInks ? nil : error
        }
        self.init(
            colours: hasInks ? .unsaid : colours, profileFault: fault, resolution: segments.resolution,
            exif: segments.exif)
    }

    init(_ webp: WebPChunks) {
        var colours = ColourSpace.unsaid
        var fault: ICCProfile.Fault?
        do throws(ICCProfile.Fault) {
            if let profile = webp.profile { colours = .profile(try ICCProfile(profile)) }
        } catch {
            fault = error
        }
        self.init(colours: colours, profileFault: fault, resolution: nil, exif: webp.exif)
    }

    /// The EXIF orientation, 1 to 8.
    var orientation: Int { exif?.orientation ?? 1 }

    /// What goes into the result's file, as it is for the upright picture.
    var forResult: (PictureMetadata, ICCProfile.Fault?) {
        var metadata = PictureMetadata()
        metadata.colours = colours
        metadata.resolution = orientation >= 5 ? resolution?.turned : resolution
        metadata.exif = exif?.forResult ?? []
        guard !metadata.isWritable else { return (metadata, profileFault) }
        metadata.colours = .unsaid
        return (metadata, .notForPNG)
    }
}

extension PictureMetadata {
    /// Whether libpng takes this. It looks at profiles closely, and a profile from a JPEG file it has not seen before.
    fileprivate var isWritable: Bool {
        let pixel = RGBImage(width: 1, height: 1, bytes: [0, 0, 0])
        return (try? pixel.withPNG(of: self) { _ in true }) ?? false
    }
}
