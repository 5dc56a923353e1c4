// EFRT_API marks what libefrt.so exports; everything else is hidden.
#ifndef EFRT_EXPORT_H
#define EFRT_EXPORT_H

#define EFRT_API __attribute__((visibility("default")))

#endif
